"""Fetching a file from the first of several mirrors that gives the right one."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from mydl.data.idx import open_content
from mydl.files import atomic_write

CHUNK = 1 << 16
SLOWEST = 1024  # bytes a second, on average; a mirror that gives less counts as stalled


class _MirrorError(OSError):
    """This mirror failed; the next one may not."""


def download(
    urls: Sequence[str],
    path: str | os.PathLike[str],
    *,
    sha256: str,
    content_bytes: int,
    timeout: float = 15.0,
    progress: bool = True,
) -> Path:
    """Fetch one file from the first of `urls` that gives it whole, and put it at `path`; returns the path.

    `sha256` and `content_bytes` describe the content, decompressed if the file is gzip. Only http and https
    are spoken, also after redirects. Nothing larger than the content itself is accepted. A mirror that
    answers nothing for `timeout` seconds, or less than 1 KB a second on average, is given up.

    The file is written under another name, checked, synced and then renamed, so that what lies at `path` is
    always whole, also when two processes fetch it at once.

    Raises OSError when no mirror gave the file, with what each did; ValueError for a URL that is not http(s).

    >>> download(["file:///etc/hostname"], "hostname", sha256="0" * 64, content_bytes=9)
    Traceback (most recent call last):
    ValueError: download: file:///etc/hostname: wanted an http or https address
    """
    for url in urls:
        if not _is_http(url):
            raise ValueError(f"download: {url}: wanted an http or https address")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        try:
            with atomic_write(path) as file:
                for chunk in _chunks(url, path.name, content_bytes, timeout, progress):
                    file.write(chunk)
                file.flush()
                _check_content(file.name, sha256, content_bytes)
            return path
        except _MirrorError as error:  # noqa: PERF203 - a few turns, each a download
            failures.append(f"{url}: {error}")
    raise OSError(f"could not download {path.name}: " + "; ".join(failures))


def _chunks(url: str, name: str, most: int, timeout: float, progress: bool) -> Iterator[bytes]:
    """The bytes that `url` answers with; every failure of the net or the server is a _MirrorError."""
    from tqdm import tqdm

    # A gzip file is smaller than its content, or a little larger if that cannot be compressed.
    most += most // 1000 + 1024
    request = urllib.request.Request(url, headers={"User-Agent": "mydl"})
    start, received = time.monotonic(), 0
    try:
        with _opener().open(request, timeout=timeout) as response:
            announced = response.headers.get("Content-Length", "")
            expected = int(announced) if announced.isdecimal() else None
            if expected is not None and expected > most:
                raise _MirrorError(f"announces {expected:,} bytes, wanted at most {most:,}")
            with tqdm(total=expected, desc=name, unit="B", unit_scale=True, disable=not progress) as bar:
                while chunk := response.read1(CHUNK):
                    received += len(chunk)
                    bar.update(len(chunk))
                    if received > most:
                        raise _MirrorError(f"sends more than {most:,} bytes")
                    seconds = time.monotonic() - start
                    if seconds > timeout and received < SLOWEST * seconds:
                        raise _MirrorError(f"stalled: {received:,} bytes in {seconds:.0f} s")
                    yield chunk
    except _MirrorError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        raise _MirrorError(f"HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _MirrorError(f"{error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _MirrorError(f"{type(error).__name__}: {error}") from None
    if expected is not None and received < expected:
        raise _MirrorError(f"cut short: {received:,} of {expected:,} bytes")


def _check_content(path: str, sha256: str, content_bytes: int) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with open_content(path) as (stream, _):
            while (chunk := stream.read(CHUNK)) and size <= content_bytes:
                digest.update(chunk)
                size += len(chunk)
    except ValueError:
        raise _MirrorError("sent a damaged gzip file") from None
    if size != content_bytes:
        more = "more than " if size > content_bytes else ""
        raise _MirrorError(f"wrong content: {more}{min(size, content_bytes):,} bytes, wanted {content_bytes:,}")
    if digest.hexdigest() != sha256:
        raise _MirrorError(f"wrong content: SHA-256 {digest.hexdigest()}, wanted {sha256}")


def _is_http(url: str) -> bool:
    return urllib.parse.urlsplit(url).scheme in ("http", "https")


def _opener() -> urllib.request.OpenerDirector:
    """An opener that speaks http and https and nothing else (urllib's own also opens files and ftp)."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPRedirectHandler(),
    ):
        opener.add_handler(handler)
    return opener
