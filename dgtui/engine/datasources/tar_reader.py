"""Reads a tar archive as it streams by: is it whole, what is in it, and does a member reach out of its folder?

It understands what GNU tar writes (pax, sparse files, long names) and refuses what it does not know.
"""

from collections.abc import Callable
from zlib import adler32

from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.datasources.file_tree import Tally
from dgtui.engine.datasources.places import shown
from dgtui.engine.errors import ValidationError

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_LISTED = 50
_LONGEST_EXTRA = 16 << 20
_EXTRA = frozenset(b"xgLK")
_PLAIN = frozenset(b"\x000 7")
_KNOWN = frozenset(b"\x00012345 67S")
_HARD_LINK, _SYMBOLIC_LINK, _DEVICES, _FOLDER, _OLD_SPARSE = ord("1"), ord("2"), frozenset(b"34"), ord("5"), ord("S")


class TarReader(ArchiveCheck):
    """Walks from header to header; data is passed over."""

    def __init__(
        self, *, refuse_at_once: bool = False, on_hard_link: Callable[[bytes, bytes], None] | None = None
    ) -> None:
        """`on_hard_link` hears of each its path, and the path of the member that holds its content."""
        self._on_hard_link = on_hard_link
        self.tally = Tally()
        self.hostile: list[str] = []
        self.devices: list[str] = []
        self.has_root = False
        """Whether the folder itself is a member; it is not where a single file was backed up."""
        self._refuse_at_once = refuse_at_once
        self._rest = b""
        self._skip = 0
        self._zeros = 0
        self._extra_kind = 0
        self._extra_size = 0
        self._more_sparse = False
        self._after_map = 0
        self._global: dict[bytes, bytes] = {}
        self._fields: dict[bytes, bytes] = {}
        self._links: set[bytes] = set()
        self._last = b""

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        if self._skip >= len(block):
            self._skip -= len(block)
            return
        data = self._rest + block if self._rest else block
        position, self._skip = self._skip, 0
        end = len(data)
        while position < end:
            need = _round(self._extra_size) if self._extra_kind else _BLOCK
            if end - position < need:
                break
            self._skip = 0
            self._take(data[position : position + need])
            position += need + self._skip
        self._skip = max(0, position - end)
        self._rest = data[position:] if position < end else b""

    def finish(self) -> None:
        """Judge the whole."""
        if self._rest or self._skip or self._zeros < 2 or self._extra_kind:
            raise ValidationError(
                f"The archive ends early, after {self._where}",
                subject="archive",
                hint="Use another copy or older backup",
            )
        self._refuse()

    def stop(self) -> None:
        """Nothing is held."""

    def _refuse(self) -> None:
        if self.hostile:
            raise ValidationError(
                f"{len(self.hostile)} members of the archive reach out of its folder: {', '.join(self.hostile[:5])}",
                subject="archive",
                hint="Nothing of it was unpacked. Who could write to the storage? Use another copy or an older backup",
                detail=self.hostile,
            )

    def _take(self, block: bytes) -> None:
        if self._extra_kind:
            self._take_extra(block[: self._extra_size])
        elif self._more_sparse:
            self._take_sparse_map(block)
        elif block == _ZEROS:
            self._zeros += 1
        elif self._zeros:
            raise self._damaged("something follows its end mark" if self._zeros > 1 else "a header is empty")
        else:
            self._take_header(block)

    def _take_header(self, header: bytes) -> None:
        try:
            told = int(header[148:156].strip(b"\x00 ") or b"0", 8)
            size = _number(header[124:136])
        except ValueError:
            raise self._damaged("a header cannot be read") from None
        # Adler-32 begins with the sum of all bytes, modulo a prime, and is ten times as fast as a sum in Python.
        total = told - 8 * 32 + sum(header[148:156]) + 1
        if (adler32(header) & 0xFFFF) != total % 65521 or size < 0:
            raise self._damaged("the checksum of a header is wrong")
        kind = header[156]
        if kind in _EXTRA:
            if size > _LONGEST_EXTRA:
                raise self._damaged("a header is too large")
            self._extra_kind, self._extra_size = kind, size
            if not size:
                self._take_extra(b"")
            return
        if kind not in _KNOWN:
            raise self._damaged(f"a member is of a kind that is not known ({chr(kind)!r})")
        self._take_member(header, kind, size)

    def _take_extra(self, content: bytes) -> None:
        kind, self._extra_kind = self._extra_kind, 0
        if kind == ord("L"):
            self._fields[b"path"] = content.partition(b"\x00")[0]
        elif kind == ord("K"):
            self._fields[b"linkpath"] = content.partition(b"\x00")[0]
        else:
            target = self._global if kind == ord("g") else self._fields
            while content:
                length, _, _ = content.partition(b" ")
                if not length.isdigit() or not len(length) < int(length) <= len(content):
                    raise self._damaged("an extended header cannot be read")
                key, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
                target[key] = value
                content = content[int(length) :]

    def _take_member(self, header: bytes, kind: int, size: int) -> None:
        fields = {**self._global, **self._fields} if self._global else self._fields
        self._fields = {}
        name = fields.get(b"GNU.sparse.name") or fields.get(b"path") or _header_name(header)
        link = fields.get(b"linkpath") or header[157:257].partition(b"\x00")[0]
        try:
            size = int(fields.get(b"size", size))
            real = int(fields.get(b"GNU.sparse.realsize", fields.get(b"GNU.sparse.size", size)))
            real = _number(header[483:495]) if kind == _OLD_SPARSE else real
        except ValueError:
            raise self._damaged("the size of a member cannot be read") from None
        if size < 0:
            raise self._damaged("the size of a member is negative")
        if kind == _HARD_LINK:
            size = real = 0
        self._skip = _round(size)
        if kind == _OLD_SPARSE and header[482]:
            self._more_sparse, self._after_map, self._skip = True, self._skip, 0
        clean = _clean(name)
        self._judge(name, clean, kind, link)
        self.tally.add(clean, real if kind in _PLAIN or kind == _OLD_SPARSE else 0)

    def _take_sparse_map(self, block: bytes) -> None:
        self._more_sparse = bool(block[504])
        if not self._more_sparse:
            self._skip = self._after_map

    def _judge(self, name: bytes, clean: bytes, kind: int, link: bytes) -> None:
        """Look whether a member would be written elsewhere than below the folder."""
        self._last = name
        bad = _reaches_out(name) or self._through_link(clean) or clean in self._links
        if kind == _HARD_LINK:
            target = _clean(link)
            bad = bad or _reaches_out(link) or self._through_link(target)
            if target in self._links:
                self._links.add(clean)
            if self._on_hard_link is not None:
                self._on_hard_link(clean, target)
        elif kind == _SYMBOLIC_LINK:
            self._links.add(clean)
        elif kind in _DEVICES:
            self.devices.append(shown(name))
        elif kind == _FOLDER and not clean:
            self.has_root = True
        if bad and len(self.hostile) < _LISTED:
            self.hostile.append(f"{shown(name)} -> {shown(link)}" if kind == _HARD_LINK else shown(name))
        if bad and self._refuse_at_once:
            self._refuse()

    def _through_link(self, clean: bytes) -> bool:
        if not self._links:
            return False
        cut = clean.find(b"/")
        while cut >= 0:
            if clean[:cut] in self._links:
                return True
            cut = clean.find(b"/", cut + 1)
        return False

    @property
    def _where(self) -> str:
        return shown(self._last) if self._last else "the beginning"

    def _damaged(self, what: str) -> ValidationError:
        return ValidationError(
            f"The archive is damaged after {self._where}: {what}",
            subject="archive",
            hint="Use another copy or an older backup",
        )


def _reaches_out(name: bytes) -> bool:
    return not name or name.startswith(b"/") or b"\x00" in name or (b".." in name and b".." in name.split(b"/"))


def _clean(name: bytes) -> bytes:
    if name.startswith(b"./") and b"//" not in name and b"/./" not in name:
        return name[2:].rstrip(b"/")
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


def _header_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\x00")[0]
    prefix = header[345:500].partition(b"\x00")[0] if header[257:263] == b"ustar\x00" else b""
    return prefix + b"/" + name if prefix else name


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or a binary one with the highest bit set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    return int(field.strip(b"\x00 ") or b"0", 8)


def _round(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
