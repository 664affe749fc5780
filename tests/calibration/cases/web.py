"""A small ASGI application around `handle(method, path, user, query, document)`, which gives status and document."""

import json
from urllib.parse import parse_qsl


def application(handle):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body = (await receive()).get("body") or b"null"
        user = dict(scope["headers"]).get(b"x-user", b"").decode()
        query = dict(parse_qsl(scope["query_string"].decode()))
        try:
            document = json.loads(body)
        except ValueError:
            status, answer = 400, {"error": "not JSON"}
        else:
            status, answer = await handle(scope["method"], scope["path"], user, query, document)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return app
