from __future__ import annotations

import json

import pytest

from lab.servers.cluster import Cluster
from lab.servers.kinds import REDIS_7, REDIS_62, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.profile import identify, parse_info, profile_from_info, read_profile
from redis_ttl.domain.audit.key_facts import Question, questions_for
from redis_ttl.domain.audit.server import (
    REQUIRED_COMMANDS,
    Access,
    Command,
    DatabaseCounts,
    Flavour,
    Role,
    ServerProfile,
)
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import CommandUnavailable, MissingPermission
from tests.adapters.keyspaces import link_to, send, set_keys, user_link
from tests.adapters.scripted_server import scripted_server

LEAST_COMMANDS = ["+scan", "+pttl", "+dbsize", "+info"]


def profile_of(server: Server) -> ServerProfile:
    """What the server's profile says now."""
    with link_to(server) as link:
        return read_profile(link)


def test_each_server_is_recognised(valkey: Server, redis7: Server, redis62: Server) -> None:
    """Flavour and version are the program's own, though Valkey carries a redis_version as well."""
    found = [(profile.flavour, profile.version_tuple[:2]) for profile in map(profile_of, (valkey, redis7, redis62))]
    assert found == [(Flavour.VALKEY, (9, 1)), (Flavour.REDIS, (7, 0)), (Flavour.REDIS, (6, 2))]


def test_a_profile_holds_the_server_s_own_figures(any_server: Server) -> None:
    """Counts per database, memory, limit, policy, role and process are what the server says."""
    set_keys(any_server, (f"key:{number}" for number in range(30)))
    send(any_server, (("SET", f"key:{number}", "x", "EX", 1000) for number in range(10)))
    set_keys(any_server, ["other"], db=3)
    with any_server.client() as client:
        client.config_set("maxmemory", 100_000_000)
        client.config_set("maxmemory-policy", "volatile-lfu")
        run_id = client.info("server")["run_id"]
    profile = profile_of(any_server)
    first, other = profile.databases
    assert (first.db, first.keys, first.expires, first.no_ttl_keys) == (0, 30, 10, 20)
    assert (other.db, other.keys, other.expires) == (3, 1, 0)
    assert profile.counts_of(3) == other
    assert profile.counts_of(7) == DatabaseCounts(7, 0, 0)
    assert profile.run_id == run_id
    assert profile.role is Role.PRIMARY
    assert profile.memory_limit_bytes == 100_000_000
    assert profile.used_memory_bytes is not None
    assert profile.memory_ratio == profile.used_memory_bytes / 100_000_000
    assert profile.evicts_by_frequency
    assert not profile.cluster_enabled


@pytest.mark.parametrize(("kind", "by_default"), [(VALKEY, True), (REDIS_7, False), (REDIS_62, False)])
def test_a_profile_says_how_expired_values_are_freed(kind: ServerKind, *, by_default: bool) -> None:
    """In the background or while nobody is answered, as the server is set: by default Valkey does the one, Redis the other."""
    with run_server(kind) as server:
        assert profile_of(server).frees_expired_lazily is by_default
        for told, known in (("yes", True), ("no", False)):
            with server.client() as client:
                client.config_set("lazyfree-lazy-expire", told)
            assert profile_of(server).frees_expired_lazily is known


def test_how_values_are_freed_is_unknown_where_it_may_not_be_asked(redis7: Server) -> None:
    """A user without CONFIG GET has a profile all the same."""
    with user_link(redis7, LEAST_COMMANDS, ["*"]) as link:
        assert read_profile(link).frees_expired_lazily is None
    with user_link(redis7, [*LEAST_COMMANDS, "+config|get"], ["*"]) as link:
        assert read_profile(link).frees_expired_lazily is not None


@pytest.mark.parametrize("figure", ["9" * 5_000, "٣", "-1", "1.5", "", "x", "²"])
def test_a_figure_that_is_none_is_unknown(figure: str) -> None:
    """Whatever a server puts into INFO, a profile comes out."""
    profile = profile_from_info({"used_memory": figure, "maxmemory": figure}, address="a:1", access={})
    assert (profile.used_memory_bytes, profile.memory_limit_bytes) == (None, None)


def test_no_limit_is_no_limit(valkey: Server) -> None:
    """A server without maxmemory has no memory ratio, rather than one of a zero limit."""
    profile = profile_of(valkey)
    assert profile.memory_limit_bytes is None
    assert profile.memory_ratio is None


def test_a_profile_survives_json(any_server: Server) -> None:
    """A profile that went through JSON text is the same profile."""
    set_keys(any_server, ["a"])
    with run_server(any_server.kind, replica_of=any_server):
        profile = profile_of(any_server)
    assert len(profile.replicas) == 1
    assert from_plain(ServerProfile, json.loads(json.dumps(to_plain(profile)))) == profile


def test_a_replica_names_its_primary(any_server: Server) -> None:
    """A replica's profile says that it is one, and of whom; its primary's says how far it is behind."""
    with run_server(any_server.kind, replica_of=any_server) as replica:
        profile = profile_of(replica)
        followers = profile_of(any_server).replicas
    assert profile.role is Role.REPLICA
    assert profile.primary_address == f"127.0.0.1:{any_server.port}"
    assert [follower.address for follower in followers] == [f"127.0.0.1:{replica.port}"]
    assert followers[0].state == "online"
    assert followers[0].lag_bytes is not None


def test_a_cluster_node_says_so(any_cluster: Cluster) -> None:
    """A node of a cluster is recognised, whichever field its flavour says it in."""
    assert all(profile_of(server).cluster_enabled for server in any_cluster.primaries)


def test_commands_are_tried_out(any_server: Server) -> None:
    """The default user may send everything that the server has; Redis before 7.2 has no CLIENT NO-TOUCH, before 7.4 no HTTL,
    and before 6.2 no HRANDFIELD.
    """
    profile = profile_of(any_server)
    missing = {command for command in Command if not profile.allows(command)}
    is_newest = profile.flavour is Flavour.VALKEY
    assert missing == (set() if is_newest else {Command.CLIENT_NO_TOUCH, Command.HTTL})
    for command in missing:
        assert profile.can[command] is Access.UNKNOWN_COMMAND


def test_the_least_rights_are_enough(any_server: Server) -> None:
    """A user with four commands gets a profile; everything else is noted as forbidden, and nothing is asked about keys."""
    set_keys(any_server, ["a"])
    with user_link(any_server, LEAST_COMMANDS, ["*"]) as link:
        profile = read_profile(link)
    assert {command for command in Command if profile.allows(command)} == set(REQUIRED_COMMANDS)
    assert profile.can[Command.MEMORY_USAGE] is Access.FORBIDDEN
    assert questions_for(profile) == ()


@pytest.mark.parametrize("command", REQUIRED_COMMANDS)
def test_a_command_that_an_audit_needs(any_server: Server, command: Command) -> None:
    """Without the right to one of the four commands there is no audit, and the error has the ACL rule to add."""
    commands = [rule for rule in LEAST_COMMANDS if rule != command.acl_rule]
    with user_link(any_server, commands, ["*"]) as link, pytest.raises(MissingPermission) as caught:
        read_profile(link)
    assert command.value in caught.value.what
    assert command.acl_rule in str(caught.value)


def test_keys_that_the_user_may_not_read(any_server: Server) -> None:
    """A user whose key patterns leave out keys of the database is told at once which pattern it takes."""
    set_keys(any_server, ["yours:1"])
    with user_link(any_server, ["+@all"], ["mine:*"]) as link, pytest.raises(MissingPermission, match=r"~\*"):
        read_profile(link)


def test_a_user_of_all_the_keys_there_are(any_server: Server) -> None:
    """Key patterns that cover what the database holds are enough."""
    set_keys(any_server, ["mine:1", "mine:2"])
    with user_link(any_server, LEAST_COMMANDS, ["mine:*"]) as link:
        assert read_profile(link).counts_of(0).keys == 2


@pytest.mark.parametrize(
    ("policy", "question"),
    [("noeviction", Question.IDLE), ("allkeys-lru", Question.IDLE), ("volatile-lfu", Question.FREQ)],
)
def test_what_is_asked_depends_on_the_eviction_policy(any_server: Server, policy: str, question: Question) -> None:
    """Access counters are asked for under LFU policies, idle times under all others, where each has a meaning."""
    with any_server.client() as client:
        client.config_set("maxmemory-policy", policy)
    profile = profile_of(any_server)
    asked = (Question.TYPE, Question.SIZE, question, Question.ENCODING)
    assert questions_for(profile) == ((*asked, Question.FIELDS) if profile.knows_field_ttls else asked)


def answer_like_a_proxy(words: list[bytes], *, hang_up: bool) -> bytes | None:
    """What twemproxy does: it knows the commands for keys, and neither SCAN nor INFO."""
    match words[0].upper():
        case b"PING":
            return b"+PONG\r\n"
        case b"PTTL" | b"EXISTS":
            return b":-2\r\n"
    return None if hang_up else b"-ERR unknown command\r\n"


@pytest.mark.parametrize("hang_up", [True, False])
def test_a_proxy_without_scan(*, hang_up: bool) -> None:
    """A proxy that lacks what an audit needs is an error, whether it says so or hangs up."""
    with (
        scripted_server(lambda words: answer_like_a_proxy(words, hang_up=hang_up)) as url,
        pytest.raises(CommandUnavailable) as caught,
        RedisLink(endpoint_from_url(url)) as link,
    ):
        read_profile(link)
    assert ("CLIENT" if hang_up else "INFO") in caught.value.what
    assert "connect to the server directly" in str(caught.value)


@pytest.mark.parametrize(
    ("info", "flavour", "version"),
    [
        ("redis_version:7.4.1\r\nredis_mode:standalone", Flavour.REDIS, "7.4.1"),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1", Flavour.VALKEY, "8.1.1"),
        (
            "redis_version:7.4.0\r\ndragonfly_version:df-v1.30.0\r\nredis_mode:standalone",
            Flavour.DRAGONFLY,
            "df-v1.30.0",
        ),
        ("redis_version:7.0.0\r\nkvrocks_version:2.9.0", Flavour.KVROCKS, "2.9.0"),
        ("redis_version:7.4.3\r\ngarnet_version:1.0.65\r\nserver_name:garnet", Flavour.GARNET, "1.0.65"),
        ("redis_version:6.3.4\r\nexecutable:/usr/bin/keydb-server", Flavour.KEYDB, "6.3.4"),
        ("redis_version:6.3.4\r\n# KeyDB\r\nmvcc_depth:0", Flavour.KEYDB, "6.3.4"),
        ("redis_version:7.0.0\r\nserver_name:lookalike", Flavour.UNKNOWN, "7.0.0"),
        ("", Flavour.UNKNOWN, ""),
    ],
)
def test_look_alikes_are_told_apart(info: str, flavour: Flavour, version: str) -> None:
    """Servers that carry a redis_version for compatibility are recognised by what else they say."""
    assert identify(parse_info(info)) == (flavour, version)


def test_an_info_that_says_nothing() -> None:
    """Fields that a service leaves out, or fills with something else, are unknown, and nothing fails."""
    info = parse_info(
        "redis_version:7.1.0\r\nmaxmemory:lots\r\nused_memory:\r\ndb0:keys=5\r\nslave0:ip=h\r\nslave1:?\r\nnoise\r\n"
    )
    profile = profile_from_info(info, address="h:1", access={})
    assert profile.role is Role.UNKNOWN
    assert profile.run_id == ""
    assert (profile.used_memory_bytes, profile.memory_limit_bytes, profile.eviction_policy) == (None, None, None)
    assert profile.databases == (DatabaseCounts(0, 5, 0),)
    assert [replica.lag_bytes for replica in profile.replicas] == [None, None]
    assert not profile.cluster_enabled
    assert not profile.allows(Command.SCAN)


def test_a_data_set_keeps_its_lineage(any_server: Server) -> None:
    """A replica is of its primary's lineage, and names it as its former one after it has taken over."""
    set_keys(any_server, ["a"])
    with run_server(any_server.kind, replica_of=any_server) as replica:
        primary_s = profile_of(any_server).lineage
        followed = profile_of(replica).lineage
        with replica.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
        promoted = profile_of(replica)
    assert primary_s == followed
    assert len(primary_s) == 40
    assert promoted.lineage != primary_s
    assert promoted.former_lineage == primary_s


def test_a_data_set_without_a_past(any_server: Server) -> None:
    """A server that never followed another one has no former lineage: the zeros that it shows are none."""
    with run_server(any_server.kind) as server:
        assert profile_of(server).former_lineage == ""


def test_a_profile_of_an_older_version_still_loads(valkey: Server) -> None:
    """A document without the replication ids loads as a server that hides them."""
    document = to_plain(profile_of(valkey))
    del document["lineage"], document["former_lineage"]
    assert from_plain(ServerProfile, document).lineage == ""
