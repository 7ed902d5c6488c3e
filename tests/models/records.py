"""Records of a project, made of files of the catalogue's models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moltghost.models import ModelChoice, find_model
from moltghost.models.capabilities import Capabilities
from moltghost.models.gguf import read_gguf
from moltghost.models.project_models import FOLDER
from moltghost.models.record import Record
from moltghost.models.sources import Registry, Source, SourceFile
from tests.sizing.sparse_gguf import write_sparse

COMMIT = "bf5b95e96dac0462e2a09145ec66cae9a3f12067"
TUNED = "tuned-8b"


def record_of(choice: ModelChoice, folder: Path, name: str = TUNED) -> Record:
    path = folder / "written.gguf"
    write_sparse(path, choice)
    header = read_gguf(path)
    header = replace(header, metadata={**header.metadata, "general.file_type": 15})
    size = path.stat().st_size
    path.unlink()
    file = SourceFile("Tuned-8B-Q4_K_M.gguf", "ab" * 32, size)
    return Record(
        name=name,
        reference="hf:someone/Tuned-8B-GGUF:Q4_K_M",
        source=Source(Registry.HUGGING_FACE, "someone/Tuned-8B-GGUF", (file,), COMMIT),
        header=header,
        can=Capabilities(True, False, "the file's chat template has place for tools"),
        licence="apache-2.0",
    )


def tuned(folder: Path, name: str = TUNED) -> Record:
    """A record of an 8B."""
    return record_of(find_model("llama3.1-8b-q4"), folder, name)


def write_record(project: Path, record: Record) -> Path:
    file = project / FOLDER / f"{record.name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(record.to_text())
    return file
