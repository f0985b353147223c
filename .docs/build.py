"""Build the site of guides and API reference into build/docs, and check it.

    python .docs/build.py

The guides are the documents of the repository in `DOCUMENTS`. The pages of the API are made of the
public names of the package, so a new name appears by itself. Zensical and mkdocstrings render them
from the docstrings: nothing of the package is imported.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import griffe
from fields import Fields

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
PAGES = BUILD / "docs-source"
SITE = BUILD / "docs"

# The documents of the site, each with the name of its page.
DOCUMENTS = {
    "README.md": "index",
    ".docs/guides/from-stripe.md": "from-stripe",
    ".docs/guides/client.md": "client",
    ".docs/guides/any-endpoint.md": "any-endpoint",
    ".docs/guides/errors.md": "errors",
    ".docs/guides/webhooks.md": "missed-events",
    ".docs/guides/testing.md": "testing",
    ".docs/guides/frames-and-notebooks.md": "frames-and-notebooks",
    ".docs/guides/command-line.md": "command-line",
    ".docs/guides/tracing.md": "tracing",
    ".docs/guides/exactly-once.md": "exactly-once",
    ".docs/guides/exports-in-parts.md": "exports-in-parts",
    ".docs/guides/growth.md": "growth",
    "benchmarks/README.md": "speed",
    ".github/SECURITY.md": "security",
    "CHANGELOG.md": "changelog",
}

# The names of the package itself, by the part of it that defines them.
GROUPS = {
    "Clients": ("_client", "sync"),
    "Settings and hooks": ("_config",),
    "Lists, requests and answers": ("_models", "_resources", "_http"),
    "Errors": ("_core",),
}

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


# --- the pages ----------------------------------------------------------------------------------


def page_of(path: Path) -> str | None:
    """Return the page that shows a file of the repository; None if none does."""
    name = path.relative_to(ROOT).as_posix()
    if name in DOCUMENTS:
        return f"{DOCUMENTS[name]}.md"
    module = name.removesuffix(".py").removesuffix("/__init__").split("/")
    return f"{'.'.join(module[:2])}.md" if module[0] == "pinstripe" else None


def document(source: Path) -> str:
    """Return a document as a page: a link to a file becomes a link to the page that shows it.

    Its pictures are copied to where the page finds them.
    """

    def replace(link: re.Match[str]) -> str:
        is_picture, text, target, anchor = link.groups()
        if urlsplit(target).scheme:
            return link[0]
        path = (source.parent / target).resolve()
        if not path.exists():
            raise SystemExit(f"{source.relative_to(ROOT)}: there is no {target}")
        if is_picture:
            (PAGES / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, PAGES / target)
            return link[0]
        page = page_of(path)
        return f"[{text}]({page}{anchor or ''})" if page else text

    return LINK.sub(replace, source.read_text(encoding="utf-8"))


def public_modules(package: griffe.Module) -> list[griffe.Module]:
    """Return the package and its public modules; each has a page."""
    inner = [module for name, module in package.modules.items() if not name.startswith("_")]
    return [package, *sorted(inner, key=lambda module: module.name)]


def public_names(module: griffe.Module) -> list[str]:
    """Return the names that a module offers: those in `__all__`, else those that it defines.

    They are in the order of the source if the module defines them itself, and otherwise in the
    order of `__all__`. The class that the module is named for comes first.
    """
    own = [name for name, member in module.members.items() if not member.is_alias]
    names = own if module.exports is None else [str(name) for name in module.exports]
    shown = [name for name in names if not name.startswith("_") and name not in module.modules]
    shown.sort(key=lambda name: own.index(name) if name in own else -1)
    return sorted(shown, key=lambda name: name.lower() != module.name)


def parts_of(module: griffe.Module) -> list[str]:
    """Return the classes without a public name that the attributes of public classes hold.

    They are the drivers of the sandbox: `sandbox.identity` is public, and its class is not.
    """
    found: dict[str, None] = {}
    public = {module.members[name].canonical_path for name in public_names(module)}
    for name in public_names(module):
        member = module.members[name]
        target = member.final_target if member.is_alias else member
        for attribute in target.attributes.values() if target.is_class else ():
            path = getattr(attribute.annotation, "canonical_path", "")
            if path.startswith(f"{module.path}._") and path not in public:
                found |= {path: None} if module.modules_collection[path].is_class else {}
    return list(found)


def inner_modules(module: griffe.Module) -> list[griffe.Module]:
    """Return what a package that names nothing holds in public modules of its own: the adapters."""
    if module.exports:
        return []
    return [inner for name, inner in module.modules.items() if not name.startswith("_")]


def group_of(module: griffe.Module, name: str) -> str:
    """Return the heading on the page of a module under which one of its names is."""
    member = module.members[name]
    if module.path == "pinstripe":
        origin = member.target_path.split(".")[1]
        return next((title for title, parts in GROUPS.items() if origin in parts), "More")
    if not is_product(module):
        return "Values" if member.is_attribute else "Reference"
    if not member.is_class:
        return "Values"
    if any(str(base) == "TypedDict" for base in member.bases):
        return "Parameters"
    return "Objects" if any(str(d.value) == "model" for d in member.decorators) else "Calls"


def is_product(module: griffe.Module) -> bool:
    """Return whether a module has the calls of a product."""
    return any(str(base) == "Resource" for c in module.classes.values() for base in c.bases)


def api_page(module: griffe.Module) -> str:
    """Return the page of a module: its docstring, which is a guide, and then its names."""
    titles = (*GROUPS, "More", "Reference", "Calls", "Objects", "Parameters", "Values")
    groups: dict[str, list[str]] = {title: [] for title in titles}
    for name in public_names(module):
        groups[group_of(module, name)].append(f"{module.path}.{name}")
    groups["Reference"] += parts_of(module)
    parts = [f"---\ntitle: {module.path}\n---\n"]
    parts += [directive(module.path, 1, "members: false", "show_root_full_path: true")]
    for title, paths in groups.items():
        if paths:
            # Of an error it matters what else catches it; other bases are no concern of a reader.
            bases = f"show_bases: {title == 'Errors'}".lower()
            parts += [f"## {title}\n", *(directive(path, 3, bases) for path in paths)]
    parts += [directive(m.path, 2, "show_root_full_path: true") for m in inner_modules(module)]
    return "\n".join(parts)


def directive(path: str, level: int, *options: str) -> str:
    """Return what mkdocstrings replaces by the documentation of a name."""
    lines = [f"::: {path}", "    options:", f"      heading_level: {level}"]
    return "\n".join([*lines, *(f"      {option}" for option in options), ""])


def write_pages(package: griffe.Module) -> None:
    """Write the pages and the configuration of the site."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    PAGES.mkdir(parents=True)
    for source, page in DOCUMENTS.items():
        (PAGES / f"{page}.md").write_text(document(ROOT / source), encoding="utf-8")
    shutil.copyfile(ROOT / ".docs" / "site.css", PAGES / "site.css")
    modules = public_modules(package)
    for module in modules:
        (PAGES / f"{module.path}.md").write_text(api_page(module), encoding="utf-8")
    config = (ROOT / ".docs" / "zensical.toml").read_text(encoding="utf-8")
    config = config.replace("[project]\n", f"[project]\n{navigation(modules)}", 1)
    (BUILD / "zensical.toml").write_text(config, encoding="utf-8")


def navigation(modules: Sequence[griffe.Module]) -> str:
    """Return the line of the configuration that lists the pages."""
    package, *others = modules
    sections = {
        "Guides": [f"'{page}.md'" for page in DOCUMENTS.values() if page != "index"],
        "Client": [entry(package)],
        "Products": [entry(module) for module in others if is_product(module)],
        "Tools": [entry(module) for module in others if not is_product(module)],
    }
    lists = [f"{{ {title} = [{', '.join(pages)}] }}" for title, pages in sections.items()]
    return f"nav = [{{ Home = 'index.md' }}, {', '.join(lists)}]\n"


def entry(module: griffe.Module) -> str:
    """Return the entry of a module in the navigation."""
    return f"{{ '{module.path}' = '{module.path}.md' }}"


# --- the checks ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a built page holds: its anchors, its links, and what a browser loads with it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what matters of a tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") != "canonical":
            self.loaded.append(values.get("href", ""))
        elif "src" in values:
            self.loaded.append(values["src"])


def problems(package: griffe.Module) -> Iterator[str]:
    """Yield what is wrong with the site."""
    pages = {path.name: Page(path) for path in SITE.glob("*.html") if path.name != "404.html"}
    for name, page in pages.items():
        for link in (*page.links, *page.loaded):
            target = urlsplit(link)
            if target.scheme or target.netloc:
                if link in page.loaded:
                    yield f"{name} loads {link}"
                continue
            path = unquote(target.path).removeprefix("./") or name
            if not (SITE / path).exists():
                yield f"{name} links to {link}, which is not there"
            elif path in pages and unquote(target.fragment) not in pages[path].anchors:
                yield f"{name} links to {link}, which has no such place"
    for module in public_modules(package):
        anchors = pages[f"{module.path}.html"].anchors
        for name in names_to_show(module):
            if name not in anchors:
                yield f"{module.path}.html does not show {name}; has it a docstring?"


def names_to_show(module: griffe.Module) -> Iterator[str]:
    """Yield the full names that the page of a module must show, methods included."""
    for shown in (module, *inner_modules(module)):
        yield shown.path
        for path in (*(f"{shown.path}.{name}" for name in public_names(shown)), *parts_of(shown)):
            yield path
            member = shown.modules_collection[path]
            target = member.final_target if member.is_alias else member
            for name, inner in target.members.items() if target.is_class else ():
                if not name.startswith("_") and inner.has_docstring:
                    yield f"{path}.{name}"


class _Warnings(logging.Handler):
    """Keeps what griffe warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def docstring_problems(package: griffe.Module) -> Sequence[str]:
    """Return what griffe finds wrong in the docstrings of public names."""
    warnings = _Warnings()
    logging.getLogger("griffe").addHandler(warnings)
    for module in public_modules(package):
        for path in names_to_show(module):
            member = package.modules_collection[path]
            if member.docstring is not None:
                member.docstring.parse("google")
    return warnings.messages


def main() -> None:
    """Build the site, check it, and fail with everything that is wrong."""
    package = griffe.load(
        "pinstripe",
        search_paths=[ROOT],
        resolve_aliases=True,
        extensions=griffe.Extensions(Fields()),
    )
    assert isinstance(package, griffe.Module)
    write_pages(package)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    built = subprocess.run(
        [*command, "--config-file", str(BUILD / "zensical.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(built.stdout)
    wrong = [*docstring_problems(package), *problems(package)]
    # What griffe warns of is printed, and is no issue to Zensical.
    clean = "No issues found" in built.stdout and "griffe:" not in built.stdout
    if built.returncode or wrong or not clean:
        raise SystemExit("\n".join(["the site has problems:", *wrong]))
    print(f"built {SITE.relative_to(ROOT)}: open index.html")


if __name__ == "__main__":
    main()
