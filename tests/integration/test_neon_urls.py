"""The URL that a provider shows works as it is copied, for the store and for migrations, and so does every other."""

import datetime as dt
import ipaddress
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg.conninfo import conninfo_to_dict

from hansard.database import migrations, open_database
from hansard.database.dialects.postgres_url import conninfo_of
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError
from hansard.store.sql import SqlStore
from tests.support.pgbouncer import running_pgbouncer
from tests.support.store_steps import says

NEON = (
    "postgresql://neondb_owner:npg_s3cret@ep-cool-snow-a1b2c3d4-pooler.eu-central-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)
OLD_CLIENT = "postgresql://alex:npg_s3cret@ep-cool-snow-a1b2c3d4.aws.neon.tech/neondb?options=endpoint%3Dep-cool-snow"


def libpq(url: str) -> dict[str, object]:
    """Return what libpq is told of a URL that somebody put into DATABASE_URL."""
    return dict(conninfo_to_dict(conninfo_of(parse_url(url).text)))


@pytest.mark.parametrize("spelled", [NEON, f"psql '{NEON}'", f'"{NEON}"', f" {NEON}\n", NEON.replace("ql:", ":", 1)])
def test_neon_s_string_reaches_libpq_as_it_is(spelled):
    told = libpq(spelled)
    assert told["host"] == "ep-cool-snow-a1b2c3d4-pooler.eu-central-1.aws.neon.tech"
    assert (told["user"], told["password"], told["dbname"]) == ("neondb_owner", "npg_s3cret", "neondb")
    assert (told["sslmode"], told["channel_binding"]) == ("require", "require")


def test_the_endpoint_that_old_clients_send_as_an_option_is_kept():
    assert libpq(OLD_CLIENT)["options"] == "endpoint=ep-cool-snow"


def test_the_name_of_the_application_is_the_only_start_up_parameter_of_ours():
    given = {"host", "dbname", "user", "password", "sslmode", "channel_binding"}
    of_the_socket = {
        "connect_timeout",
        "tcp_user_timeout",
        *(f"keepalives_{one}" for one in ("idle", "interval", "count")),
    }
    assert set(libpq(NEON)) == given | of_the_socket | {"application_name"}


def test_what_the_url_says_wins():
    told = libpq("postgresql://db/x?application_name=mine&connect_timeout=3&keepalives_idle=60")
    assert (told["application_name"], told["connect_timeout"], told["keepalives_idle"]) == ("mine", "3", "60")


@pytest.mark.parametrize("url", [f"{NEON}&ssl=require", "postgresql://u:p%ss@db/x", "postgresql://u:s3cret@[::1/x"])
async def test_a_url_that_libpq_cannot_read_is_refused_without_its_secrets(url):
    with pytest.raises(ConfigurationError) as refused:
        await open_database(url)
    said = str(refused.value)
    assert "s3cret" not in said
    assert "p%ss" not in said
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert said.endswith(": ssl") == ("ssl=require" in url)
    with pytest.raises(ConfigurationError) as refused_too:
        migrations.upgrade(url)
    assert str(refused_too.value) == said


async def test_a_pooler_s_name_and_prepared_statements_do_not_go_together():
    with pytest.raises(ConfigurationError, match="-pooler"):
        await open_database(NEON, prepare=True)


async def works(url: str) -> None:
    """Write and read through a URL."""
    database = await open_database(url)
    user = SqlStore(database).for_user(f"user-{uuid.uuid4()}")
    made = await user.conversations.create(items=says("Hello"))
    assert [item.content for item in await user.items.last(made.id, 5)] == ["Hello"]
    await database.close()


def spellings(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    login, place, name = f"{parts.username}:{parts.password}", f"{parts.hostname}:{parts.port}", parts.path
    yield f"postgres://{login}@{place}{name}"
    yield f"postgresql+asyncpg://{login}@{place}{name}"
    yield f"postgresql://{quote(str(parts.username))}:{parts.password}@{place}{name}?sslmode=prefer&channel_binding=prefer"
    yield f"postgresql://{name}?host={parts.hostname}&port={parts.port}&user={parts.username}&password={parts.password}"
    yield f"postgresql://{login}@127.0.0.1:1,{place}{name}?target_session_attrs=read-write"
    yield f"postgresql://{login}@ep-cool-snow.example:{parts.port}{name}?hostaddr=127.0.0.1"


async def test_every_libpq_spelling_works(pg_url):
    for url in spellings(pg_url):
        await works(url)


def test_migrations_take_the_same_spellings(pg_server):
    for number, spelling in enumerate(spellings("postgresql://u:p@h:1/d")):
        fresh = pg_server.clone()
        url = list(spellings(fresh))[number]
        migrations.upgrade(url)
        assert migrations.current(url) == migrations.head(), spelling
        pg_server.drop(fresh)


async def test_a_password_of_any_characters_works_when_it_is_encoded(pg_url):
    password = "p@ss:w/rd?#%& ü[]'\\"
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE careful LOGIN SUPERUSER")
        connection.execute(psycopg.sql.SQL("ALTER ROLE careful PASSWORD {}").format(password))
    parts = urlsplit(pg_url)
    await works(f"postgresql://careful:{quote(password, safe='')}@{parts.hostname}:{parts.port}{parts.path}")
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute("DROP ROLE careful")


@pytest.mark.pooler
async def test_a_pooler_with_tls_takes_the_string_with_its_endpoint(pg_server, pg_url, tmp_path):
    """As at Neon: TLS, a `-pooler` host, an option that names the endpoint, and transaction pooling behind it."""
    certificate, key = self_signed(pg_server.workspace)
    tls = {"client_tls_sslmode": "require", "client_tls_cert_file": certificate, "client_tls_key_file": key}
    with running_pgbouncer(pg_server, pool_size=2, settings={**tls, "ignore_startup_parameters": "options"}) as pooler:
        parts = urlsplit(pooler.url(pg_url))
        login = f"{parts.username}:{parts.password}"
        host = f"ep-cool-snow-pooler.example:{parts.port}"
        query = "sslmode=require&channel_binding=prefer&hostaddr=127.0.0.1&options=endpoint%3Dep-cool-snow"
        await works(f"postgresql://{login}@{host}{parts.path}?{query}")


def self_signed(folder: Path) -> tuple[str, str]:
    """Return the files of a certificate for this machine, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "pooler.crt", folder / "pooler.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    for file in files:
        file.chmod(0o644)
    return str(files[0]), str(files[1])
