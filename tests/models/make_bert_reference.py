"""Writes bert_reference.npz: what the BERT of `transformers` computes.

Random weights, rounded to 16 bits so that the file is small; the names are those of
ElasticBERT's files. Run with torch and transformers installed:
python tests/models/make_bert_reference.py
"""

import pathlib

import numpy as np

SIZES = {
    "vocab_size": 40,
    "num_layers": 3,
    "hidden": 16,
    "num_heads": 4,
    "intermediate": 24,
    "max_length": 16,
}
NUM_CLASSES = 3
FILE = pathlib.Path(__file__).parent / "bert_reference.npz"


def bert_model(attention="eager", **sizes):
    """A BertModel of `transformers` in evaluation mode, with loud random weights."""
    import torch
    import transformers

    sizes = {**SIZES, **sizes}
    torch.manual_seed(0)
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=sizes["vocab_size"],
            num_hidden_layers=sizes["num_layers"],
            hidden_size=sizes["hidden"],
            num_attention_heads=sizes["num_heads"],
            intermediate_size=sizes["intermediate"],
            max_position_embeddings=sizes["max_length"],
            attn_implementation=attention,
        )
    )
    for parameter in model.parameters():
        noise = 0.3 * torch.randn_like(parameter)
        parameter.data = (parameter.data + noise).half().float()
    return model.eval()


def exits(num_exits=SIZES["num_layers"], hidden=SIZES["hidden"]):
    """Poolers and classifiers by ElasticBERT's names, as torch tensors."""
    import torch

    torch.manual_seed(1)
    named = {}
    for i in range(num_exits):
        pooler, classifier = f"elasticbert.encoder.pooler.{i}.dense", f"classifiers.{i}"
        named[f"{pooler}.weight"] = 0.3 * torch.randn(hidden, hidden)
        named[f"{pooler}.bias"] = 0.3 * torch.randn(hidden)
        named[f"{classifier}.weight"] = 0.5 * torch.randn(NUM_CLASSES, hidden)
        named[f"{classifier}.bias"] = 0.3 * torch.randn(NUM_CLASSES)
    return {name: tensor.half().float() for name, tensor in named.items()}


def texts(num=4, length=12, vocab_size=SIZES["vocab_size"]):
    """Texts [num, 2, length] int32 of different lengths, two segments each."""
    rng = np.random.default_rng(2)
    ends = np.linspace(length, 3, num).astype(int)[:, None]
    position = np.arange(length)
    ids = np.where(position < ends, rng.integers(1, vocab_size, (num, length)), 0)
    segments = (position >= ends // 2) & (position < ends)
    return np.stack([ids, segments], axis=1).astype(np.int32)


def outputs(model, named, tokens):
    """Hidden states [L, B, S, hidden] and logits [B, L, C], computed by torch."""
    import torch
    from torch.nn.functional import linear

    ids, segments = torch.tensor(tokens).long().unbind(1)
    with torch.no_grad():
        hidden = model(
            input_ids=ids,
            attention_mask=(ids != 0).long(),
            token_type_ids=segments,
            output_hidden_states=True,
        ).hidden_states[1:]
        logits = []
        for i, state in enumerate(hidden):
            pooler, classifier = (
                (named[f"{name}.{i}{rest}.weight"], named[f"{name}.{i}{rest}.bias"])
                for name, rest in (
                    ("elasticbert.encoder.pooler", ".dense"),
                    ("classifiers", ""),
                )
            )
            pooled = torch.tanh(linear(state[:, 0], *pooler))
            logits.append(linear(pooled, *classifier))
    return torch.stack(hidden).numpy(), torch.stack(logits, dim=1).numpy()


def main():
    model, named, tokens = bert_model(), exits(), texts()
    hidden, logits = outputs(model, named, tokens)
    weights = {f"elasticbert.{k}": v for k, v in model.state_dict().items()}
    # BERT's own pooler, which ElasticBERT does not have.
    weights = {k: v for k, v in weights.items() if ".pooler." not in k} | named
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        FILE,
        tokens=tokens,
        hidden=hidden,
        logits=logits,
        **{f"weights/{k}": v.numpy().astype(np.float16) for k, v in weights.items()},
    )
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
