"""A GGUF of full precision, made from a quantized one: a source for `weights add --quantize`.

The values are those of the quantized file, so it answers like it; only the F16 is new.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize

_FILE_TYPE = "general.file_type"


def write_full_precision(source: Path, target: Path, *, context: int | None = None) -> None:
    """Write ``source`` anew in F16.

    Args:
        source: a GGUF file of any quantization.
        target: the file to write.
        context: the trained context to claim, in tokens; by default the source's.
    """
    read = gguf.GGUFReader(source)
    architecture = str(read.fields["general.architecture"].contents())
    changed: dict[str, int] = {_FILE_TYPE: gguf.LlamaFileType.MOSTLY_F16}
    if context:
        changed[f"{architecture}.context_length"] = context
    writer = gguf.GGUFWriter(target, architecture)
    for field in read.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = changed.get(field.name, field.contents())
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, field.types[0], sub_type=inner)
    for tensor in read.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        # Norms are kept in F32, as converters do.
        writer.add_tensor(
            tensor.name, values.astype(np.float32 if values.ndim == 1 else np.float16)
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
