"""The subset's provenance in W3C PROV, as PROV-JSON (https://www.w3.org/submissions/prov-json/).

Entities are the pool, recipe, models, evidence, the rows after each stage, the subset, its files and scores; activities the run, its
measurements, stages, the making of models, trainings and the export; agents the software, each with its release or source digest. Nothing
has a time: the ledger holds durations, no dates.
"""

from typing import Any

from curate.plan import parted
from pipelines.documents.exported import Exported
from pipelines.documents.facts import Facts

Named = dict[str, dict[str, Any]]


def prov(facts: Facts, exported: Exported | None) -> dict[str, Any]:
    """The document; names are digests, so that the same thing has the same name in every document."""
    made = _Graph(facts)
    made.sources()
    made.measured()
    made.selected()
    made.judged()
    if exported:
        made.left(exported)
    return made.document()


class _Graph:
    """Entities, activities, agents and relations as they are found."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.entities: Named = {}
        self.activities: Named = {}
        self.agents: Named = {}
        self.relations: dict[str, list[dict[str, str]]] = {}
        self.pool = _name("pool", facts.run.pool.id[:16])
        self.run = self.activity("run", facts.head, "Run", folder=facts.run.folder)
        self.evidence = dict[str, str]()

    def entity(self, sort: str, id_: str, label: str, **told: Any) -> str:
        name = _name(sort, id_)
        self.entities[name] = {"prov:label": label, **{f"ceteris:{key}": value for key, value in told.items()}}
        return name

    def activity(self, sort: str, id_: str, label: str, **told: Any) -> str:
        name = _name(sort, id_)
        self.activities[name] = {"prov:label": label, **{f"ceteris:{key}": value for key, value in told.items()}}
        return name

    def agent(self, name: str, version: str, **told: Any) -> str:
        key = _name("software", f"{name}-{version}")
        self.agents[key] = {"prov:type": {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}, "prov:label": f"{name} {version}"}
        self.agents[key] |= {f"ceteris:{one}": value for one, value in told.items()}
        return key

    def relate(self, relation: str, **ends: str) -> None:
        found = {f"prov:{end}": name for end, name in ends.items()}
        if found not in self.relations.setdefault(relation, []):
            self.relations[relation].append(found)

    def by(self, activity: str, agent: str) -> None:
        self.relate("wasAssociatedWith", activity=activity, agent=agent)

    def did(self, activity: str, *, used: tuple[str, ...], made: str) -> None:
        self.relate("wasGeneratedBy", entity=made, activity=activity)
        for one in used:
            self.relate("used", activity=activity, entity=one)
            self.relate("wasDerivedFrom", generatedEntity=made, usedEntity=one)

    def sources(self) -> None:
        """Pool, recipe, and the models with what they were made from."""
        run, pool = self.facts.run, self.facts.run.pool
        self.entity("pool", pool.id[:16], "the pool", layout=pool.layout, rows=pool.rows, shards=len(pool.shards), id=pool.id)
        recipe = self.entity("recipe", self.facts.recipe["digest"][:16], f"recipe {run.facts['name']}", digest=self.facts.recipe["digest"])
        self.entities[recipe]["prov:type"] = {"$": "prov:Plan", "type": "prov:QUALIFIED_NAME"}
        self.relate("used", activity=self.run, entity=self.pool)
        self.relate("used", activity=self.run, entity=recipe)
        sources: dict[str, str] = next((one["sources"] for one in self.facts.ledger if one["what"] == "recipe"), {})
        for name, digest in sorted(sources.items()):
            self.by(self.run, self.agent(f"filter-{name}", digest[:16], source=digest))
        for model in self.facts.models:
            made = self.entity("model", model.weights[:16], f"model {model.name}", weights=model.weights, kind=model.kind)
            used = tuple(self.entity("pool", key.removeprefix("pools/"), f"what {model.name} was made from") for key in model.trained_on)
            making = self.activity("making", model.id[:16], f"making {model.name}", id=model.id)
            self.did(making, used=used, made=made)
            self.relate("wasInformedBy", informed=self.run, informant=making)

    def measured(self) -> None:
        """Evidence, from the pool and the models that its parameters name."""
        weights = {model.weights: _name("model", model.weights[:16]) for model in self.facts.models}
        for one in self.facts.signals:
            self.evidence[one.name] = self.entity("evidence", one.fingerprint[:16], f"evidence {one.name}", fingerprint=one.fingerprint)
        for one in self.facts.signals:
            texts = [value for value in one.parameters.values() if isinstance(value, str)]
            read = [self.evidence[name] for text in texts if "." in text and (name := parted(text)[0]) in self.evidence]
            activity = self.activity("measuring", one.fingerprint[:16], f"measuring {one.name}", filter=one.filter, version=one.version)
            models = [weights[text] for text in texts if text in weights]
            self.did(activity, used=(self.pool, *models, *read), made=self.evidence[one.name])
            for package, version in sorted(one.code.get("versions", {}).items()):
                self.by(activity, self.agent(package, version))
            if source := one.code.get("source"):
                self.by(activity, self.agent(f"filter-{one.filter}", source[:16], source=source))

    def selected(self) -> None:
        """The rows after each stage, and the subset, which is those after the last one."""
        nodes, rows = self.facts.run.facts["nodes"], dict[str, str]()
        sketches = {name: one["sketch"] for name, one in self.facts.run.facts["groups"].items()}
        for line in self.facts.stages:
            node = nodes[line["stage"]]
            if node["combinator"] == "pool":
                rows[line["stage"]] = self.pool
                continue
            made = self.entity("rows", node["id"][:16], f"rows after {line['stage']}", kept=line["kept"])
            rows[line["stage"]] = made
            asked = [parted(column)[0] for column in node["columns"]]
            asked += [sketches[node["grouping"]]] if node["grouping"] in sketches else []
            used = [rows[parent] for parent in node["parents"]] + [self.evidence[name] for name in asked if name in self.evidence]
            activity = self.activity("stage", node["id"][:16], f"stage {line['stage']}", rule=line["rule"] or line["combinator"])
            self.did(activity, used=tuple(dict.fromkeys(used)), made=made)
            self.relate("wasInformedBy", informed=activity, informant=self.run)
        whole = self.entity("subset", self.facts.digest, f"subset {self.facts.name}", digest=self.facts.digest, rows=len(self.facts.subset))
        self.did(self.run, used=(rows[self.facts.run.node_of(self.facts.name)],), made=whole)

    def judged(self) -> None:
        """The trainings on this subset, and their scores."""
        done = self.facts.evaluation
        if done is None:
            return
        held, arm = done.store.json(f"{done.conditions}/conditions.json"), done.arms[self.facts.name]
        for seed, place in arm.scores.items():
            told = done.training(self.facts.name, seed)
            training = self.activity("training", told["weights"][:16], f"training, seed {seed}", scale=done.scale.name, seed=seed)
            score = self.entity(
                "score", place.removeprefix("scores/"), f"score, seed {seed}", headline=done.score(self.facts.name, seed).headline
            )
            self.did(training, used=(_name("subset", self.facts.digest),), made=score)
            for package, version in sorted(held["versions"].items()):
                self.by(training, self.agent(package, version))

    def left(self, exported: Exported) -> None:
        """The files that were exported."""
        subset = _name("subset", self.facts.digest)
        digest = exported.files[0].sha256[:16] if exported.files else self.facts.digest[:16]
        activity = self.activity("export", digest, f"export as {exported.layout}")
        for one in exported.files:
            made = self.entity("file", one.sha256, one.name, sha256=one.sha256, bytes=one.size)
            self.did(activity, used=(subset, self.pool), made=made)

    def document(self) -> dict[str, Any]:
        """PROV-JSON, its relations numbered in the order in which they were found."""
        told: dict[str, Any] = {"prefix": {"ceteris": "urn:ceteris:", "prov": "http://www.w3.org/ns/prov#"}}
        told |= {"entity": self.entities, "activity": self.activities, "agent": self.agents}
        for relation, found in self.relations.items():
            told[relation] = {f"_:{relation}{number}": ends for number, ends in enumerate(found, 1)}
        return told


def _name(kind: str, local: str) -> str:
    return f"ceteris:{kind}/{local}"
