"""The structure of tars: whole, of every dialect, damaged and hostile."""

import io
import tarfile

import numpy as np
import pytest

from curate.tars import TarError, members_of, samples_of, split


def tar(path, members, format_=tarfile.USTAR_FORMAT, end=True):
    """Members are (name, bytes), or a TarInfo and bytes."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=format_) as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        size = held.tell()
    path.write_bytes(held.getvalue() if end else held.getvalue()[:size])
    return path


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def sample(n, image=b"\xff\xd8\xff", text="a caption"):
    return [(f"{n:05d}.jpg", image + bytes([n % 256]) * (n % 700)), (f"{n:05d}.txt", text.encode()), (f"{n:05d}.json", b'{"n": %d}' % n)]


def part(path, samples, name, row):
    offset, size = int(samples.offsets[name][row]), int(samples.sizes[name][row])
    return path.read_bytes()[offset : offset + size] if size >= 0 else None


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_of_every_dialect_lie_where_tarfile_finds_them(tmp_path, format_):
    long = "a/" * 70 + "b" * 90 if format_ != tarfile.USTAR_FORMAT else "a/" * 60 + "b" * 80
    names = ["00000.jpg", f"{long}.jpg", f"{long}.txt", "./c/Ü.JPEG", "./c/Ü.txt", "./c/Ü.json", "d.seg.png", "d.png"]
    path = tar(tmp_path / "a.tar", [(name, name.encode() * (3 * n)) for n, name in enumerate(names)], format_)
    samples = samples_of(path)
    assert samples.keys == ["00000", long, "c/Ü", "d"]
    with tarfile.open(path) as archive:
        held = {info.name: archive.extractfile(info).read() for info in archive}
    assert [part(path, samples, "image", row) for row in range(4)] == [held[names[0]], held[names[1]], held[names[3]], held["d.png"]]
    assert [part(path, samples, "txt", row) for row in range(4)] == [None, held[names[2]], held[names[4]], None]
    assert part(path, samples, "json", 2) == held[names[5]]
    assert samples.codes == {"image": {}, "txt": {}, "json": {}}


def test_sizes_beyond_octal_are_read(tmp_path):
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("a.jpg")
    info.size = 9 << 33  # more than 8 GiB: eleven octal digits do not hold it
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(file.tell() + info.size + 1024)  # sparse on disk
    assert samples_of(path).codes["image"] == {0: "too_large"}
    assert samples_of(path).sizes["image"].tolist() == [9 << 33]


@pytest.mark.parametrize(
    ("name", "key", "of"),
    [
        ("a/b/0001.jpg", "a/b/0001", "image"),
        ("0001.JPEG", "0001", "image"),
        ("a.b/0001.txt", "a.b/0001", "txt"),
        ("0001.v2.json", "0001", None),
        (".DS_Store", "", None),
        ("a/._0001.jpg", "", None),
        ("README", "", None),
        ("././0001.webp", "0001", "image"),
    ],
)
def test_keys_end_at_the_first_dot_of_the_file_name(name, key, of):
    assert split(name) == (key, of)


def test_what_is_no_file_or_lies_elsewhere_is_an_error_of_its_part(tmp_path):
    members = [
        *sample(0),
        (special("1.jpg", tarfile.SYMTYPE, "/etc/passwd"), b""),
        ("1.txt", b"x"),
        (special("2.jpg", tarfile.LNKTYPE, "00000.jpg"), b""),
        (special("3.jpg", tarfile.CHRTYPE), b""),
        (special("4.jpg", tarfile.FIFOTYPE), b""),
        (special("dir.jpg", tarfile.DIRTYPE), b""),
        ("/5.jpg", b"x"),
        ("../6.jpg", b"x"),
        ("a/../../7.txt", b"x"),
        ("8.jpg", b""),
    ]
    path = tar(tmp_path / "a.tar", members)
    samples = samples_of(path)
    assert samples.keys == ["00000", "1", "2", "3", "4", "/5", "../6", "a/../../7", "8"]
    no_file, unsafe = "not_a_file", "unsafe_name"
    assert samples.codes["image"] == {1: no_file, 2: no_file, 3: no_file, 4: no_file, 5: unsafe, 6: unsafe}
    assert samples.codes["txt"] == {7: unsafe}
    assert samples.sizes["image"][8] == 0
    assert {each.name for each in members_of(path)} >= {"../6.jpg", "8.jpg"}


@pytest.mark.parametrize("pax", [{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}, {}])
def test_sparse_files_are_no_files(tmp_path, pax):
    info = tarfile.TarInfo("0.jpg")
    info.pax_headers = pax
    path = tar(tmp_path / "a.tar", [(info, b"1\n0\n9\n"), *sample(1)], tarfile.PAX_FORMAT)
    if not pax:
        data = bytearray(path.read_bytes())
        data[156:157], data[482] = b"S", 1
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        path.write_bytes(bytes(data[:512]) + b"\0" * 512 + bytes(data[512:]))  # one more header of holes
    samples = samples_of(path)
    assert (samples.keys, samples.codes["image"]) == (["0", "00001"], {0: "not_a_file"})
    assert part(path, samples, "txt", 1) == b"a caption"


def test_parts_that_come_twice(tmp_path):
    once = [("a.jpg", b"1"), ("a.jpg", b"2"), ("a.txt", b"x"), ("b.jpg", b"3"), ("b.png", b"4"), ("c.txt", b"y"), ("c.txt", b"z")]
    samples = samples_of(tar(tmp_path / "a.tar", once))
    assert samples.keys == ["a", "b", "c"]
    assert samples.codes == {"image": {0: "two_images", 1: "two_images"}, "txt": {2: "duplicate_member"}, "json": {}}
    apart = [("a.jpg", b"1"), ("a.txt", b"x"), ("b.jpg", b"2"), ("a.jpg", b"3"), ("a.txt", b"y")]
    path = tar(tmp_path / "b.tar", apart)
    samples = samples_of(path)
    assert (samples.keys, samples.codes["image"]) == (["a", "b", "a"], {})
    assert [part(path, samples, "image", row) for row in range(3)] == [b"1", b"2", b"3"]
    assert [part(path, samples, "txt", row) for row in range(3)] == [b"x", None, b"y"]
    by_kind = [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.txt", b"x"), ("b.txt", b"y")]
    path = tar(tmp_path / "c.tar", by_kind)
    assert [part(path, samples_of(path), "txt", row) for row in range(2)] == [b"x", b"y"]


def test_archives_one_behind_the_other_are_one(tmp_path):
    first, second = tar(tmp_path / "a.tar", sample(0)), tar(tmp_path / "b.tar", sample(1))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert samples_of(first).keys == ["00000", "00001"]


def test_no_tar_is_cut_anywhere_without_a_word(tmp_path):
    path = tar(tmp_path / "a.tar", [member for n in range(6) for member in sample(n)], end=False)
    whole = path.read_bytes()
    for end in [*range(0, len(whole), 256), 1, 511, 513, len(whole) - 1, len(whole)]:
        path.write_bytes(whole[:end])
        if end == 0:
            continue
        with pytest.raises(TarError, match=r"it ends within|the file ends at|no end mark"):
            samples_of(path)
    path.write_bytes(whole + bytes(512))  # a lone block of zeros ends it too
    assert len(samples_of(path).keys) == 6
    path.write_bytes(bytes(10240))
    assert samples_of(path).keys == []


def test_no_flipped_bit_in_a_header_gives_other_samples(tmp_path):
    path = tar(tmp_path / "a.tar", [member for n in range(4) for member in sample(n)])
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    headers = [member.offset - 512 for member in members_of(path)]
    refused = []
    for _ in range(400):
        at, bit = int(draw.choice(headers)) + int(draw.integers(512)), int(draw.integers(8))
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = samples_of(path)
        except TarError as error:
            refused.append(error.code)
            continue
        assert at % 512 in range(148, 156), "only padding of the checksum itself may change"
        assert found.keys == [f"{n:05d}" for n in range(4)]
    assert set(refused) == {"bad_header"}
    assert len(refused) > 390


def test_whatever_is_changed_there_are_samples_or_a_reason(tmp_path):
    members = [*sample(0), (special("1.jpg", tarfile.SYMTYPE, "x"), b""), ("a" * 200 + ".jpg", b"1"), *sample(2)]
    draw = np.random.default_rng(0)
    refused = []
    for format_ in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        whole = tar(tmp_path / "a.tar", members, format_).read_bytes()
        headers = [at for at in range(0, len(whole), 512) if whole[at + 257 : at + 262] == b"ustar"]
        for _ in range(300):
            at = int(draw.choice(headers))
            block = bytearray(whole[at : at + 512])
            for place in draw.integers(512, size=int(draw.integers(1, 40))).tolist():
                block[place] = int(draw.integers(256))
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)  # a header whose sum is right
            (tmp_path / "b.tar").write_bytes(whole[:at] + block + whole[at + 512 :])
            try:
                samples = samples_of(tmp_path / "b.tar")
            except TarError as error:
                refused.append(error.code)
                continue
            for part_ in ("image", "txt", "json"):
                ends = samples.offsets[part_] + samples.sizes[part_]
                assert len(ends) == len(samples.keys)
                assert ends.max(initial=0) <= len(whole)
    assert set(refused) == {"bad_header", "truncated"}


def test_sizes_that_nothing_holds(tmp_path):
    link = special("0.jpg", tarfile.SYMTYPE, "x").tobuf(tarfile.GNU_FORMAT)
    for field in (b"\x80" + b"\x7f" * 11, b"\xff" * 12, b"7" * 12, b"9" * 12):
        header = bytearray(link)
        header[124:136], header[148:156] = field, b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
        (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
        if field[0] == 0x80 or field == b"7" * 12:
            assert samples_of(tmp_path / "a.tar").sizes["image"].tolist() == [0]
        else:
            with pytest.raises(TarError, match=r"the header at byte 0 is damaged"):
                samples_of(tmp_path / "a.tar")
    info = tarfile.TarInfo("x")
    info.type, data = tarfile.XHDTYPE, b"5013 size=" + b"9" * 5002 + b"\n"
    assert samples_of(tar(tmp_path / "a.tar", [(info, data), ("0.jpg", b"1")])).sizes["image"].tolist() == [1]


@pytest.mark.parametrize("data", [b"<html>" * 200, b"\x00" * 100, b"PAR1" + b"x" * 2000])
def test_other_files_are_no_tars(tmp_path, data):
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(TarError, match=r"is damaged|ends within"):
        samples_of(tmp_path / "a.tar")


def test_a_long_name_that_claims_more_than_there_is(tmp_path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(TarError, match=r"claims 8589934592 bytes"):
        samples_of(tmp_path / "a.tar")


def test_pax_records_that_are_none_are_left_out(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, data = tarfile.XHDTYPE, b"zzz\n999 path=../../evil.jpg\n-5 a=b\n"
    path = tar(tmp_path / "a.tar", [(info, data), ("0.jpg", b"1")])
    assert samples_of(path).keys == ["0"]
