"""A mail server that takes everything and keeps nothing: `python -m performance.benchmark.sink PORT`."""

import asyncio
import sys


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 sink\r\n")
    in_data = False
    while line := await reader.readline():
        command = line.strip().upper()
        if in_data:
            if line != b".\r\n":
                continue
            in_data, answer = False, b"250 taken\r\n"
        elif command == b"DATA":
            in_data, answer = True, b"354 go on\r\n"
        elif command == b"QUIT":
            answer = b"221 bye\r\n"
        else:
            answer = b"250 sink\r\n"
        writer.write(answer)
        await writer.drain()
        if command == b"QUIT" and not in_data:
            break
    writer.close()


async def _run(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
