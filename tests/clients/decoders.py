"""Independent decoders of everything that the server compresses: none of them is the server's own library."""

from __future__ import annotations

import gzip
import io
import struct
import uuid
import zipfile

import cramjam
import zstandard

XERIAL_MAGIC = b"\x82SNAPPY\x00"
# Most that a test's object may grow to, bytes.
PLAIN_BYTES_MAX = 64 << 20


def plain(body: bytes) -> bytes:
    """UNCOMPRESSED."""
    return body


def ungzip(body: bytes) -> bytes:
    """GZIP."""
    return gzip.decompress(body)


def unzip(body: bytes) -> bytes:
    """ZIP: one deflated entry whose name is a random UUID."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        (entry,) = archive.infolist()
        assert entry.compress_type == zipfile.ZIP_DEFLATED
        assert uuid.UUID(entry.filename).version == 4
        return archive.read(entry)


def unxerial(body: bytes) -> bytes:
    """Snappy as snappy-java's stream: magic, two versions, then blocks with their lengths."""
    assert body[:8] == XERIAL_MAGIC, body[:8]
    version, compatible = struct.unpack(">II", body[8:16])
    assert version == 1 and compatible == 1
    return _blocks(body[16:], raw_length=False)


def unhadoop(body: bytes) -> bytes:
    """HADOOP_SNAPPY: blocks, each with its plain length and its chunks."""
    return _blocks(body, raw_length=True)


def _blocks(rest: bytes, raw_length: bool) -> bytes:
    out = b""
    while rest:
        if raw_length:
            (plain_length,), rest = struct.unpack(">I", rest[:4]), rest[4:]
        (length,), rest = struct.unpack(">I", rest[:4]), rest[4:]
        assert length <= len(rest), "a block is cut"
        block = bytes(cramjam.snappy.decompress_raw(rest[:length]))
        assert not raw_length or len(block) == plain_length
        out, rest = out + block, rest[length:]
        assert len(out) <= PLAIN_BYTES_MAX
    return out


def unzstd(body: bytes) -> bytes:
    """ZSTD, our extension: one frame with its checksum."""
    frame = zstandard.get_frame_parameters(body)
    assert frame.has_checksum
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


# Wire name: decoder, extension of the key, Content-Encoding.
FORMATS = {
    "UNCOMPRESSED": (plain, "", None),
    "GZIP": (ungzip, ".gz", "gzip"),
    "ZIP": (unzip, ".zip", "zip"),
    "Snappy": (unxerial, ".snappy", "snappy-java"),
    "HADOOP_SNAPPY": (unhadoop, ".snappy", "hadoop-snappy"),
    "ZSTD": (unzstd, ".zst", "zstd"),
}
