"""The documents as a Croissant dataset (MLCommons, 1.1) with its vocabulary of responsibility (RAI 1.0).

Who wrote what: the field of the authors is PROV's attribution (W3C, PROV-O, 2013), record by record.
"""

from collections.abc import Iterable
from typing import Any

from train.records import Json

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "prov": "http://www.w3.org/ns/prov#",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

# column: (what it holds, the property that it is)
_FIELDS = {
    "id": ("the document's name within its source", "sc:identifier"),
    "sha256": ("digest of the text", "sc:sha256"),
    "text": ("the text", "sc:text"),
    "title": ("its title", "sc:name"),
    "authors": ("who wrote it", "prov:wasAttributedTo"),
    "date": ("when, as far as known", "sc:dateCreated"),
    "language": ("in which language", "sc:inLanguage"),
    "licence": ("under which licence", "sc:license"),
    "url": ("where it was found", "prov:hadPrimarySource"),
    "split": ("train or validation", "cr:Split"),
}


def croissant(record: Json, recipe: Json, summary: Json, files: Json) -> dict[str, Any]:
    """standards/croissant.json. `files`: the tables of documents, by name, with their sha256."""
    data = recipe["data"]
    excluded = ", ".join(f"{rule} {count}" for rule, count in summary["excluded"].items()) or "nothing"
    personal = ", ".join(f"{kind} {count}" for kind, count in summary["personal_data"].items()) or "none found"
    sources = "; ".join(f"{name}: {source['kind']}" for name, source in data["sources"].items())
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": data["name"],
        "description": data["description"] or f"The documents that {record['name']} was trained and measured on.",
        "version": record["version"],
        "license": [f"https://spdx.org/licenses/{name}" for name in summary["by"]["licence"]],
        "creator": [{"@type": "Person", "name": name} for name in summary["by"]["author"] if name != "unknown"],
        "publisher": [{"@type": "Organization", "name": record["publisher"]}],
        "datePublished": record["date"],
        "inLanguage": list(summary["by"]["language"]),
        "citeAs": f"{data['name']}, documents of the release {record['name']} {record['version']}, {record['publisher']}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": f"../{name}",
                "encodingFormat": "application/x-parquet",
                "sha256": digest,
            }
            for name, digest in files.items()
        ],
        "recordSet": [_records(name) for name in files],
        "rai:dataCollection": f"Taken from published packages and folders ({sources}), by version and digest.",
        "rai:dataCollectionType": ["Existing datasets"],
        "rai:dataPreprocessingProtocol": [f"Rules took out: {excluded}. Each text is listed with rule and reason."],
        "rai:personalSensitiveInformation": [f"Searched by patterns, not for names of persons: {personal}."],
        "rai:dataBiases": [data["warning"] or "The authors are those listed, and nobody else's view is in the texts."],
        "rai:dataLimitations": [f"{summary['kept']} documents; nothing of what was left out, and nothing newer."],
        "rai:dataUseCases": ["Training and measuring a small language model that can be remade."],
        "rai:dataReleaseMaintenancePlan": f"Texts are withdrawn on request to {record['contact']}; their digests stay.",
    }  # fmt: skip


def _records(table: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": f"{table}#documents",
        "name": f"documents of {table}",
        "key": {"@id": f"{table}#id"},
        "field": list(_fields(table)),
    }


def _fields(table: str) -> Iterable[dict[str, Any]]:
    for name, (what, means) in _FIELDS.items():
        field = {
            "@type": "cr:Field",
            "@id": f"{table}#{name}",
            "name": name,
            "description": what,
            "dataType": "sc:Text",
            "equivalentProperty": means,
            "source": {"fileObject": {"@id": table}, "extract": {"column": name}},
        }
        yield field | ({"isArray": True, "arrayShape": "-1"} if name == "authors" else {})
