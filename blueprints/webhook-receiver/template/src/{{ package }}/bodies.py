"""Request bodies: read as they came, up to a limit."""

from fastapi import Request

from .problems import BodyTooLarge


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body byte for byte: a signature covers exactly these bytes.

    Raises:
        BodyTooLarge: as soon as it is known, without reading on.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit)
    return bytes(body)
