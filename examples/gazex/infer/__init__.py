"""Films in, evidence out: a trained model asked about radiographs that stand in no shard."""
