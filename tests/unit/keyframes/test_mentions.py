"""What sentences say of the 14 labels: a table written by hand for this project."""

from __future__ import annotations

import pytest

from keyframes.mentions import LABELS, Mention, find_mentions

SHORT = {
    "NF": "No Finding", "EC": "Enlarged Cardiomediastinum", "CM": "Cardiomegaly", "LL": "Lung Lesion",
    "LO": "Lung Opacity", "ED": "Edema", "CO": "Consolidation", "PN": "Pneumonia", "AT": "Atelectasis",
    "PX": "Pneumothorax", "PE": "Pleural Effusion", "PO": "Pleural Other", "FR": "Fracture", "SD": "Support Devices",
}  # fmt: skip
SIGN = {"+": "positive", "?": "uncertain", "-": "negative"}

TABLE = """
There is a small right pleural effusion. | PE+
No pleural effusion. | PE-
No pneumothorax or pleural effusion. | PX- PE-
No effusion, edema or pneumothorax. | PE- ED- PX-
A moderate left pneumothorax is present. | PX+
No evidence of pneumothorax. | PX-
Pneumothorax is not seen. | PX-
Pneumothorax cannot be excluded. | PX?
A small apical pneumothorax is possible. | PX?
The previously seen pneumothorax has resolved. | PX-
Possible left lower lobe pneumonia. | PN?
Opacity in the right base may represent pneumonia. | LO+ PN?
Opacity in the right base may represent atelectasis or pneumonia. | LO+ AT? PN?
Findings concerning for pneumonia. | PN?
Pneumonia is unlikely. | PN-
Cannot exclude early pneumonia. | PN?
Atelectasis versus pneumonia. | AT? PN?
Right middle lobe infiltrate. | PN+
No focal consolidation. | CO-
Dense consolidation in the left lower lobe. | CO+
Air bronchograms in the lingula. | CO+
No consolidation, but a small effusion. | CO- PE+
No effusion and a tiny apical pneumothorax. | PE- PX+
The lungs are clear. | LO- CO-
Lungs are clear without effusion. | LO- CO- PE-
Patchy opacities at both bases. | LO+
No new opacity. | LO-
Hazy density in the right mid zone. | LO+
Bibasilar atelectasis. | AT+
Mild volume loss of the left lung. | AT+
Collapse of the right upper lobe. | AT+
Probable subsegmental atelectasis. | AT?
Likely atelectasis at the left base. | AT?
The heart is enlarged. | CM+
Cardiomegaly is stable. | CM+
The heart is not enlarged. | CM-
Heart size is normal. | CM-
The cardiac silhouette is normal. | CM-
Mild cardiomegaly without edema. | CM+ ED-
The cardiac silhouette may be enlarged. | CM?
The mediastinum is widened. | EC+
Wide mediastinum. | EC+
The mediastinum is unremarkable. | EC-
No mediastinal widening. | EC-
Mild interstitial pulmonary edema. | ED+
No pulmonary oedema. | ED-
Kerley lines are present. | ED+
Vascular congestion without overt edema. | ED+
Suspected mild pulmonary edema. | ED?
A nodule in the right upper lobe. | LL+
No suspicious nodule or mass. | LL-
Possible mass at the left hilum. | LL?
Several metastases in both lungs. | LL+
Blunting of the left costophrenic angle. | PE+
The costophrenic angles are sharp. | PE-
Fluid in the right pleural space. | PE+
No change in the large effusion. | PE+
Pleural thickening at the right apex. | PO+
Calcified pleural plaques on both sides. | PO+
No pleural thickening. | PO-
Fracture of the left seventh rib. | FR+
No acute fracture. | FR-
The ribs are intact. | FR-
Questionable rib fracture on the right. | FR?
Endotracheal tube in good position. | SD+
The pacemaker leads are unchanged. | SD+
No lines or tubes. | SD-
A right central venous catheter ends in the superior vena cava. | SD+
The chest tube was removed, and there is no pneumothorax. | SD+ PX-
Normal chest radiograph. | NF+
No acute cardiopulmonary process. | NF+
No acute abnormality, pacemaker in place. | NF+ SD+
This is not a normal chest radiograph. |
No acute disease; small effusion. | PE+
The trachea is central. |
Both hila are normal in size. |
Compared with the prior radiograph. |
Effusion but no pneumothorax. | PE+ PX-
However, a small effusion remains. | PE+
Neither effusion nor pneumothorax. | PE- PX-
The effusion is not only larger but also loculated. | PE+
Difficult to exclude a small effusion. | PE?
Opacity suspicious for malignancy. | LO+
There isn't any effusion. | PE-
Rule out pneumonia. | PN?
Without pneumothorax. | PX-
"""
"""Sentence | labels with + positive, ? uncertain, - negative."""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in TABLE.strip().splitlines()]


def test_the_labels_are_the_fourteen() -> None:
    assert set(LABELS) == set(SHORT.values())
    assert len(LABELS) == 14
    assert len(ROWS) >= 80


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_what_a_sentence_says(text: str, expected: str) -> None:
    wanted = {Mention(label=SHORT[part[:-1]], certainty=SIGN[part[-1]]) for part in expected.split()}  # type: ignore[arg-type]
    assert set(find_mentions(text)) == wanted
