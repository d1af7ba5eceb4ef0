"""The port itself: HTTP/1.1 and HTTP/2 on it, TLS, keep-alive, slow and broken clients, starting and stopping."""

import errno
import os
import signal
import socket
import subprocess
import threading

import boto3
import httpx
import pytest
from botocore.config import Config

import sigv4
from server import KEY_ID, SECRET, Server, destination


@pytest.fixture(scope="module")
def tls():
    """A server that made its own local CA."""
    running = Server("--tls-dev", name="tls")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def authority(tls):
    """The file of its CA certificate: the one that signs, not the server's own."""
    found = [path for path in tls.data_dir.rglob("*.pem") if "key" not in path.name and "ca" in path.name.lower()]
    assert found, sorted(str(path) for path in tls.data_dir.rglob("*"))
    return str(found[0])


def test_boto3_over_tls(tls, authority, name):
    assert tls.url.startswith("https://")
    client = tls.firehose(verify=authority)
    client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(name))
    client.put_record(DeliveryStreamName=name, Record={"Data": b"x"})
    assert client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def test_tls_is_not_blind(tls):
    """A client without the CA refuses the certificate: the server's is signed by the local CA only."""
    client = boto3.client("firehose", region_name="us-east-1", endpoint_url=tls.url, aws_access_key_id=KEY_ID,
                          aws_secret_access_key=SECRET, config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(Exception, match="(?i)certificate|ssl"):
        client.list_delivery_streams()


def http2(client: httpx.Client, url: str):
    """A signed ListDeliveryStreams through `client`."""
    headers = {"X-Amz-Target": "Firehose_20150804.ListDeliveryStreams", "Content-Type": "application/x-amz-json-1.1"}
    signed = sigv4.signed_headers("POST", url + "/", headers, b"{}", key_id=KEY_ID, secret=SECRET)
    signed.pop("Host")
    return client.post(url + "/", content=b"{}", headers=signed)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_http2_by_alpn(tls, authority, host):
    import ssl
    context = ssl.create_default_context(cafile=authority)
    url = tls.url.replace("127.0.0.1", host)
    with httpx.Client(http1=False, http2=True, verify=context) as client:
        answer = http2(client, url)
    assert answer.http_version == "HTTP/2" and answer.status_code == 200, answer.text


def test_http2_over_tls_without_alpn(tls, authority):
    """Java's Kinesis client sends no ALPN and speaks HTTP/2 all the same."""
    import ssl

    import h2.config
    import h2.connection
    import h2.events
    context = ssl.create_default_context(cafile=authority)
    host, port = tls.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain, \
            context.wrap_socket(plain, server_hostname=host) as secure:
        assert secure.selected_alpn_protocol() is None
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        connection.send_headers(1, [(":method", "GET"), (":path", "/health/live"), (":scheme", "https"),
                                    (":authority", f"{host}:{port}")], end_stream=True)
        secure.sendall(connection.data_to_send())
        while True:
            events = connection.receive_data(secure.recv(65536))
            secure.sendall(connection.data_to_send())
            for event in events:
                if isinstance(event, h2.events.ResponseReceived):
                    assert dict(event.headers)[":status"] == "200"
                    return


def test_http2_prior_knowledge(server):
    with httpx.Client(http1=False, http2=True) as client:
        for _ in range(3):
            answer = http2(client, server.url)
            assert answer.http_version == "HTTP/2" and answer.status_code == 200, answer.text


def test_http1_keeps_its_connection(server):
    with httpx.Client() as client:
        for _ in range(3):
            assert http2(client, server.url).http_version == "HTTP/1.1"


def test_chunked_body(server, create):
    """A body without Content-Length."""
    stream = create()
    path = f"/v1/delivery-streams/{stream}/records"
    body = b"one\ntwo\n"
    headers = sigv4.signed_headers("POST", server.url + path, {"Content-Type": "application/x-ndjson"}, body,
                                   key_id=KEY_ID, secret=SECRET)
    headers.pop("Host")
    answer = httpx.post(server.url + path, content=iter([b"one\n", b"two\n"]), headers=headers)
    assert answer.status_code == 200 and answer.json()["records"] == 2, answer.text


@pytest.mark.parametrize("bytes_", [
    b"", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort"], ids=range(8))
def test_broken_clients(server, bytes_):
    """Whatever comes, the server lives and closes the connection or answers an error."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(bytes_)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except OSError as closed:
            assert closed.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN), closed
    assert not answer.startswith(b"HTTP/1.1 200")
    assert server.send("GET", "/health/live", {}).status == 200


def test_many_connections_at_once(server, create):
    stream = create()
    faults = []

    def put():
        try:
            server.firehose().put_record(DeliveryStreamName=stream, Record={"Data": b"x"})
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=put) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    assert server.drained(stream, 32)["delivered"] == 32


def start(*flags, env=None) -> subprocess.CompletedProcess:
    """Starts a server that is expected to refuse."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MILLRACE_"))}
    return subprocess.run([os.environ["MILLRACE_TEST_BINARY"], "serve", *flags], env={**clean, **(env or {})},
                          capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)


def test_refuses_other_addresses_without_keys(tmp_path):
    for flags, reason in (([], "MILLRACE_ACCESS_KEY_ID"), (["--dev"], "loopback")):
        refused = start("--data-dir", str(tmp_path), "--listen", "0.0.0.0:0", *flags)
        assert refused.returncode not in (0, -signal.SIGKILL)
        assert reason in refused.stderr, refused.stderr


def test_refuses_a_second_server_on_the_folder(server):
    refused = start("--data-dir", str(server.data_dir), "--listen", "127.0.0.1:0", "--dev")
    assert refused.returncode != 0 and str(server.data_dir) in refused.stderr, refused.stderr


def test_refuses_unknown_settings(tmp_path):
    config = tmp_path / "millrace.toml"
    config.write_text("lisen = '127.0.0.1:0'\n")
    refused = start("--config", str(config), "--data-dir", str(tmp_path / "data"))
    assert refused.returncode != 0 and "lisen" in refused.stderr and "listen" in refused.stderr, refused.stderr


def test_dump_config(tmp_path):
    dumped = start("--dump-config", "--data-dir", str(tmp_path), env={"MILLRACE_SECRET_ACCESS_KEY": "hidden-secret",
                                                                      "MILLRACE_ACCESS_KEY_ID": "AKID"})
    assert dumped.returncode == 0 and "listen" in dumped.stdout
    assert "hidden-secret" not in dumped.stdout + dumped.stderr


def test_dev_takes_any_credentials(name):
    server = Server("--dev", name="dev", keys=False)
    try:
        client = server.firehose(aws_access_key_id="anybody", aws_secret_access_key="anything")
        client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(name))
        client.put_record(DeliveryStreamName=name, Record={"Data": b"x"})
        assert server.send("POST", f"/v1/delivery-streams/{name}/records", {"Content-Type": "text/plain"},
                           b"y\n").status == 200
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stop_and_start_again(name, sign):
    """However it ends, what was acked is delivered once by the next start; streams are still there."""
    first = Server(name="again")
    first.firehose().create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(
            name, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 150}))
    for index in range(20):
        first.firehose().put_record(DeliveryStreamName=name, Record={"Data": b"%d\n" % index})
    code = first.stop(sign)
    assert code == (0 if sign != signal.SIGKILL else -signal.SIGKILL)
    second = Server(name="again", data_dir=first.data_dir)
    try:
        second.drained(name, 20)
        lines = b"".join(second.objects(name).values()).split()
        assert sorted(map(int, lines)) == list(range(20))
    finally:
        assert second.stop() == 0
