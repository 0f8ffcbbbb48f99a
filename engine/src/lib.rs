//! Training and generation of language models on candle tensors.
