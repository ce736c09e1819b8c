"""Plain transformers open what `merge` wrote: their own processors give the trainer's input, and the same answers.

Of every family: AutoModelForImageTextToText and AutoProcessor, a picture alone and with a sequence of key frames.
Pictures of the model's own size must come out equal; of a larger one torchvision's filter and PIL's differ by rounding,
which is measured. All are answered with the same greedy tokens.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torchvision_shim  # noqa: F401  # before anything that imports torchvision
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

EQUAL = 1e-6
"""Of normalised patches: both divide and subtract in single precision, in another order."""
RESIZED = 0.05
"""Largest mean difference of patches after two filters, in standard deviations of the pictures' normalisation; a level
of 255 is 0.015."""
FRAMES_PER_S = 2
"""The trainer gives every key frame twice, a second for both."""


def check_family(folder: Path) -> str:
    """Compare one family; return what was compared."""
    model = AutoModelForImageTextToText.from_pretrained(folder / "merged").eval()
    processor = AutoProcessor.from_pretrained(folder / "merged")
    differences = {}
    for name, question in json.loads((folder / "questions.json").read_text()).items():
        ours = np.load(folder / f"{name}.npz")
        content = [{"type": "image"}, {"type": "text", "text": question["text"]}]
        more = {}
        if question["n_frames"]:
            content.insert(0, {"type": "video"})
            frames = [
                Image.open(folder / f"frame-{k}.png").convert("RGB") for k in range(question["n_frames"])
            ]
            doubled = np.stack([np.asarray(frame) for frame in frames for _ in range(2)])
            about = {
                "fps": FRAMES_PER_S,
                "total_num_frames": len(doubled),
                "frames_indices": list(range(len(doubled))),
            }
            more = {"videos": [doubled], "video_metadata": [about]}
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        picture = Image.open(folder / f"{name}.png").convert("RGB")
        inputs = processor(text=[text], images=[picture], return_tensors="pt", **more)
        for key in ("input_ids", "attention_mask", "image_grid_thw", "video_grid_thw", "mm_token_type_ids"):
            assert (key in inputs) == (key in ours), (folder.name, name, key)
            if key in ours:
                assert inputs[key].tolist() == ours[key].tolist(), (folder.name, name, key)
        for key in ("pixel_values", "pixel_values_videos"):
            if key in ours:
                apart = np.abs(inputs[key].numpy() - ours[key])
                limit = RESIZED if name == "larger" else EQUAL
                found = float(apart.mean() if name == "larger" else apart.max())
                assert found <= limit, (folder.name, name, key, found)
                differences[name, key] = found
        with torch.inference_mode():
            made = model.generate(**inputs, max_new_tokens=question["new_tokens"], do_sample=False)
        said = made[0, inputs["input_ids"].shape[1] :].tolist()
        assert said == ours["answer"].tolist(), (folder.name, name, said, ours["answer"].tolist())
    apart = differences["larger", "pixel_values"]
    return f"{folder.name}: patches of a picture that was resized differ by {apart:.4f} on average"


def main(scratch: Path) -> None:
    subprocess.run([sys.argv[1], "-m", "tools.check_clients.make_merged", str(scratch)], check=True)
    families = sorted(path.parent for path in scratch.glob("*/merged"))
    assert len(families) == 3, families
    for folder in families:
        print(check_family(folder))
    versions = f"transformers {version('transformers')}, torchvision {version('torchvision')}"
    print(f"{versions}: {len(families)} families load plainly, same input, same greedy tokens")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
