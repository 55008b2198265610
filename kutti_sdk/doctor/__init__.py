"""The doctor: looks whether all is well, mends what can be mended without a risk.

| module | its job |
|---|---|
| `diagnosis` | all findings together; mending; how it shows itself |
| `machine` | disk space, memory, programs that are good to have |
| `folders` | who else may read or change what is ours; files that writers left |
| `clusters` | records of clusters: readable, and true |
| `locks` | who is at work |
| `archive` | everything that helps from afar, in one file |
| `redaction` | takes secrets out of texts |

Drivers look at themselves; see `kutti_sdk.core.findings.Diagnosable`.
"""

from kutti_sdk.doctor.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
