"""Greets over HTTP, hears its own greetings as messages, and counts them in a table."""

import weft

COUNT = """INSERT INTO greetings VALUES ($1, 1)
ON CONFLICT (name) DO UPDATE SET times = greetings.times + 1"""
log = weft.get_logger("hello")


class Greeted(weft.Event, frozen=True, kw_only=True):
    message_type = "hello.greeted"
    name: str


@weft.traced
def greeting(name: str) -> str:
    return f"Hello, {name.title()}!"


def build(settings: weft.ServiceSettings) -> weft.Service:
    service = weft.Service("hello", settings, version="1")
    db = service.database(["CREATE TABLE greetings (name text PRIMARY KEY, times int NOT NULL)"])
    outbox, take, api = weft.Outbox(db), weft.Handlers(), weft.Routes()

    @api.post("/hello/{name}", status=202)
    async def greet(request: weft.Request) -> dict[str, str]:
        name = request.path["name"]
        async with db.transaction() as tx:  # the message leaves if, and only if, this commits
            await outbox.add(tx, weft.outgoing(Greeted(name=name), correlation_id=name))
        return {"greeting": greeting(name)}

    @api.get("/hello/{name}")
    async def times(request: weft.Request) -> dict[str, int]:
        query = "SELECT times FROM greetings WHERE name = $1"
        return {"times": await db.fetchval(query, request.path["name"]) or 0}

    @take.on(Greeted)  # once for each message, in a transaction; what fails is retried, then dead
    async def count(tx: weft.Transaction, message: Greeted, _: weft.Incoming) -> None:
        await tx.execute(COUNT, message.name)
        log.info("greeting counted", **{"hello.name": message.name})

    service.messages(db, take)
    service.serve(api)
    return service


if __name__ == "__main__":
    weft.run(build, weft.ServiceSettings)
