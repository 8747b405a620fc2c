"""The command line: names, options and help of every command; the work is done in `commands/`.

Each command imports what it needs when it runs: the schema and the providers' SDKs take seconds to import, and nobody
should wait for them to read the help.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.clock import parse_instant

app = typer.Typer(help="Metrograph: usage in, priced under contracts, invoiced, delivered once.", no_args_is_help=True,
                  add_completion=False, pretty_exceptions_enable=False)  # fmt: skip
invoices = typer.Typer(help="The billing run.", no_args_is_help=True)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
schema = typer.Typer(help="The GraphQL schema.", no_args_is_help=True)
scenario = typer.Typer(help="Scenario files.", no_args_is_help=True)
webhooks = typer.Typer(help="What webhook endpoints are told.", no_args_is_help=True)
connections = typer.Typer(help="Our accounts at providers, and their pauses.", no_args_is_help=True)
groups = {
    "invoices": invoices, "keys": keys, "schema": schema, "scenario": scenario, "webhooks": webhooks,
    "connections": connections,
}  # fmt: skip
for name, group in groups.items():
    app.add_typer(group, name=name)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


AsOf = Annotated[str | None, typer.Option("--as-of", help="An instant such as 2026-11-01T00:00:00Z; default now.")]


class SyncTarget(StrEnum):
    """What `sync` works on."""

    ALL = "all"
    STRIPE = "stripe"
    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"
    CUSTOM = "custom"
    MANUAL = "manual"


class Scale(StrEnum):
    """How large the demo company is."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


@app.command()
def demo(
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the summary.")] = False,
    as_json: AsJson = False,
    scale: Annotated[Scale, typer.Option(help="How much usage.")] = Scale.SMALL,
    seed: Annotated[int, typer.Option(help="Same seed, same company.")] = 1,
    host: str = "127.0.0.1",
    port: int = 8000,
) -> None:
    """A fresh demo company: usage in, invoices finalized, every delivery made to sandbox providers, then serve."""
    from app.commands import demonstration

    demonstration.demo(no_serve=no_serve, as_json=as_json, scale=scale, seed=seed, host=host, port=port)


@app.command("serve")
def serve_command(
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    with_worker: Annotated[bool, typer.Option("--with-worker/--no-worker", help="Run jobs inside.")] = True,
) -> None:
    """Migrate, check settings, serve HTTP."""
    from app.commands import serve

    serve.run_servers(host=host, port=port, workers=workers, with_worker=with_worker)


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Jobs at a time.")] = 4,
    queues: Annotated[list[str] | None, typer.Option(help="Only these queues.")] = None,
) -> None:
    """Run jobs only; any number of workers, on any number of machines."""
    from app.commands import serve, shell

    shell.run(lambda runtime: serve.work(runtime, concurrency=concurrency, queues=queues or []))


@app.command()
def migrate() -> None:
    """Apply migrations."""
    from app.commands import shell

    async def done(_runtime: object) -> None:
        shell.say("The database is current.")

    shell.run(done)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE…")],
    columns: Annotated[list[str] | None, typer.Option("--map", help="field=COLUMN")] = None,
    constants: Annotated[list[str] | None, typer.Option("--set", help="field=value")] = None,
    zone: Annotated[str, typer.Option(help="For times without a zone.")] = "UTC",
    allow_historical: Annotated[bool, typer.Option(help="Also events older than 34 days.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read usage from JSONL, CSV or CloudEvents files."""
    from app.commands import files, shell

    mapping = files.mapping_for(paths, columns or [], constants or [], zone)
    shell.run(
        lambda runtime: files.ingest_files(runtime, paths, mapping, allow_historical=allow_historical, as_json=as_json)
    )


@invoices.command("preview")
def invoices_preview(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """What every open statement would say."""
    from app.commands import billing, shell

    instant = _instant(as_of)
    shell.run(lambda runtime: billing.preview(runtime, as_of=instant, as_json=as_json))


@invoices.command("finalize")
def invoices_finalize(
    as_of: AsOf = None,
    dry_run: DryRun = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=12, help="Processes for a large run; default one for each core.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Finalize every statement that is due."""
    from app.commands import billing_dry_run, billing_run, shell

    instant = _instant(as_of)
    if dry_run:
        shell.run(lambda runtime: billing_dry_run.show(runtime, as_of=instant, as_json=as_json))
    else:
        shell.run(lambda runtime: billing_run.finalize(runtime, as_of=instant, as_json=as_json, workers=workers))


@app.command()
def sync(
    target: Annotated[SyncTarget, typer.Argument()] = SyncTarget.ALL,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make due deliveries now; a second run does nothing."""
    from app.commands import billing, shell

    shell.run(lambda runtime: billing.synchronize(runtime, target=target, dry_run=dry_run, as_json=as_json))


@app.command()
def query(
    path: Annotated[str, typer.Argument(metavar="FILE|-", help="A GraphQL document; - reads stdin.")],
    variables: Annotated[str, typer.Option(help="Variables as JSON.")] = "{}",
) -> None:
    """Run a GraphQL document in process, with every scope."""
    from app.commands import documents, shell

    text, values = documents.read(path, variables)
    shell.run(lambda runtime: documents.execute(runtime, text, values))


@app.command("apply")
def apply_command(
    paths: Annotated[list[Path], typer.Option("-f", "--file", metavar="FILE", help="A catalog file; may be repeated.")],
    yes: Annotated[bool, typer.Option("--yes", help="Carry the plan out without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring catalog, customers and contracts to what YAML files say: plan, confirm, carry out; safe to repeat."""
    from app.commands import applying, shell

    entries = applying.entries_of(paths)
    shell.run(lambda runtime: applying.apply(runtime, entries, is_confirmed=yes, as_json=as_json))


@app.command()
def check(as_json: AsJson = False) -> None:
    """Verify the books; any broken rule is exit code 1."""
    from app.commands import checking, shell

    shell.run(lambda runtime: checking.check(runtime, as_json=as_json))


@app.command()
def reconcile(
    provider: Annotated[SyncTarget, typer.Option(help="Which accounts.")] = SyncTarget.ALL,
    period: Annotated[
        str | None, typer.Option(help="A month (2026-10), a day, or FROM..UNTIL; default: the last 31 days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare our books with the providers'; any difference is exit code 1."""
    from app.commands import reconciling, shell

    shell.run(
        lambda runtime: reconciling.reconcile_accounts(runtime, target=provider.value, period=period, as_json=as_json)
    )


@app.command()
def recompute(
    names: Annotated[list[str] | None, typer.Argument(metavar="INVOICE…", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="All final invoices, void ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rate final invoices again from their frozen inputs; any difference is exit code 1."""
    from app.commands import recomputing, shell

    identifiers = recomputing.chosen(names or [], every=every)
    shell.run(lambda runtime: recomputing.recompute_invoices(runtime, identifiers, as_json=as_json))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Test database, clock, keys and provider accounts of this deployment."""
    from app.commands import checking, shell

    shell.run(lambda runtime: checking.doctor(runtime, as_json=as_json))


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="Who will use it.")],
    scope: Annotated[list[str], typer.Option(help="Repeat for several.")],
    as_json: AsJson = False,
) -> None:
    """Make an API key; its secret is printed once."""
    from app.commands import keyring, shell

    shell.run(lambda runtime: keyring.create(runtime, name=name, scopes=scope, as_json=as_json))


@connections.command("list")
def connections_list(as_json: AsJson = False) -> None:
    """How each account stands: paused or not, what waits and since when."""
    from app.commands import accounts, shell

    shell.run(lambda runtime: accounts.show(runtime, as_json=as_json))


@connections.command("pause")
def connections_pause(
    name: Annotated[str, typer.Argument(help="As the file of connections has it.")],
    reason: Annotated[str, typer.Option(help="Why; it is shown to everybody who asks.")],
    as_json: AsJson = False,
) -> None:
    """Send an account nothing until it is resumed; what is due waits, and usage is alarmed before its window ends."""
    from app.commands import accounts, shell

    shell.run(lambda runtime: accounts.pause(runtime, name=name, reason=reason, as_json=as_json))


@connections.command("resume")
def connections_resume(
    name: Annotated[str, typer.Argument(help="As the file of connections has it.")], as_json: AsJson = False
) -> None:
    """Send to an account again; what waited is enqueued at once."""
    from app.commands import accounts, shell

    shell.run(lambda runtime: accounts.resume(runtime, name=name, as_json=as_json))


@schema.command("export")
def schema_export() -> None:
    """Print the schema as SDL."""
    from app import schema as schema_module
    from app.commands import shell

    shell.say(schema_module.export().rstrip())


@schema.command("check")
def schema_check(path: Annotated[Path, typer.Argument(exists=True)] = Path("schema.graphql")) -> None:
    """Compare a schema file with the code."""
    from app import schema as schema_module
    from app.commands import shell

    if path.read_text(encoding="utf-8") != schema_module.export():
        shell.fail(f"{path} differs from the code; write it again with: metrograph schema export > {path}")
    shell.say("The schema file is current.")


@scenario.command("run")
def scenario_run(
    paths: Annotated[list[Path], typer.Argument(exists=True, metavar="FILE|DIR…")],
    strict: Annotated[bool, typer.Option(help="Compare line by line.")] = False,
    keep: Annotated[bool, typer.Option(help="Keep the databases of failures.")] = False,
    pending: Annotated[
        Path | None, typer.Option(exists=True, help="A list of files that do not pass yet; it may only shrink.")
    ] = None,
) -> None:
    """Run scenario files through the services on a throwaway database."""
    from app.commands import scenarios

    raise typer.Exit(int(asyncio.run(scenarios.run(paths, strict=strict, keep=keep, pending=pending))))


Endpoint = Annotated[str | None, typer.Option("--endpoint", help="Only this one, by its id.")]


@webhooks.command("listen")
def webhooks_listen(
    forward_to: Annotated[str | None, typer.Option(help="An address that gets each notice, signed.")] = None,
    events: Annotated[list[str] | None, typer.Option("--event", help="Only these, such as invoice.*.")] = None,
    secret: Annotated[
        str | None, typer.Option(help="Sign with this one; default: a fresh one, which is printed.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a line for each notice as it is committed, and forward it; nothing is left behind."""
    from app.commands import listening, shell

    asked = listening.forwarding(url=forward_to, secret=secret, events=events or [], count=count, as_json=as_json)
    shell.run(lambda runtime: listening.listen(runtime, asked))


@webhooks.command("trigger")
def webhooks_trigger(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as invoice.finalized.")],
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Have a made-up notice told: to one endpoint or, in a sandbox, to all that asked for its type."""
    from app.commands import shell
    from app.commands import webhooks as commands

    shell.run(lambda runtime: commands.trigger(runtime, event_type, endpoint=endpoint, as_json=as_json))


@webhooks.command("resend")
def webhooks_resend(
    notice: Annotated[str, typer.Argument(metavar="NOTICE", help="Its id.")],
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Have a notice told again, with its id."""
    from app.commands import shell
    from app.commands import webhooks as commands

    shell.run(lambda runtime: commands.resend(runtime, notice, endpoint=endpoint, as_json=as_json))


def main() -> None:
    """The entry point of the `metrograph` command."""
    app()


if __name__ == "__main__":
    main()


if __name__ == "__main__":
    main()
