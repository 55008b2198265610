"""The notebook face: what is shown when a cell ends with something of kutti_sdk.

| module | its job |
|---|---|
| `elements` | HTML and SVG as trees; the only place where text is escaped |
| `style`, `words`, `tables` | colours, words and tables that all faces share |
| `facts`, `questions`, `reading` | what is shown, how it is asked for, how a face waits for it |
| `faces` | which face a thing has |
| `host_tables`, `image_table`, `results`, | |
| `diagnosis_face`, `error_face` | the faces with more to them |
| `checkpoint_table` | checkpoints, alone or below their cluster |
| `timeline_record`, `timeline_picture`, `timeline_display` | a bring-up, phase by phase |
| `picture`, `topology` | what pictures share; a cluster's network |
| `notebook` | whether this is one |
| `live` | views with buttons, where ipywidgets is installed |
| `mime` | all faces of a thing together, for the front end to choose from |
"""

from kutti_sdk.views.mime import mime_bundle
from kutti_sdk.views.timeline_display import timeline
from kutti_sdk.views.timeline_record import Lane, Phase, Timeline

__all__ = ["Lane", "Phase", "Timeline", "mime_bundle", "timeline"]
