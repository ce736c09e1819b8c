"""How much two readers, or a reader and a model, agree: in the order of looking and in where attention lay."""

from keyframes.agreement.attention import (
    attention_auc,
    attention_cc,
    attention_kl,
    attention_nss,
    cluster_cosine,
    map_cosine,
)
from keyframes.agreement.icc import IntraclassCorrelation, centroid_icc, icc
from keyframes.agreement.multimatch import MultiMatch, multimatch
from keyframes.agreement.sequences import grid_similarity, scanmatch, string_edit_similarity
from keyframes.agreement.trajectories import TrajectoryAgreement, compare_trajectories, dwell_sequence

__all__ = [
    "IntraclassCorrelation",
    "MultiMatch",
    "TrajectoryAgreement",
    "attention_auc",
    "attention_cc",
    "attention_kl",
    "attention_nss",
    "centroid_icc",
    "cluster_cosine",
    "compare_trajectories",
    "dwell_sequence",
    "grid_similarity",
    "icc",
    "map_cosine",
    "multimatch",
    "scanmatch",
    "string_edit_similarity",
]
