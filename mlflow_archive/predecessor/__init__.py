"""Archives of mlflow-export-import as a source: every generation and layout it ever wrote, read-only.

What the predecessor of this tool wrote is a tree of JSON documents and files without digests, without a commit, and
without one version number that could be relied on. So everything here is told from the structure, nothing is trusted,
and what such an archive does not have is a loss or a note, never made up.

    detecting    is it one, and of which layout: all, models, experiments, or one object of a kind
    documents    JSON as Python's dialect has it (bare NaN), of bounded size and depth; envelope and payload apart
    tree         a store as such an archive: documents, what is there, files as blobs; every path is checked
    places       where an object's document stands: the values that the walk hands to the readers
    layout       the walk: from the lists of the archive to the places of a kind, each object once
    values       numbers, texts and mappings out of JSON that nobody vouches for
    summaries    prompts and evaluation datasets, and what an export says that it could not read
    strays       what stands outside of experiments
    assessments  those of traces, in the form of MLflow's REST API
    lineage      tags that an export added to those of a run
    metrics      metric histories in every shape
    permissions  direct grants out of what a Databricks workspace answered
    origin       the server it was exported from
    source       `PredecessorSource`, a `stream.Source`: the walk and the readers together

One reader for each kind, of one signature:

    def read(tree: Tree, places: Iterable[Place], selection: Selection) -> Iterator[Item | Loss]

    runs, registered_models, logged_models, traces, prompts, evaluation_datasets

(``experiments.read`` is given what the layout found of them instead.)

``places`` are all of one scope (an experiment, or the root). A reader yields all of them: what the selection leaves out
by id, name, time or record the source drops, and versions of models and prompts likewise; only ``artifacts`` and
``version_files`` are the reader's. It may pass over ids that the selection does not want, to spare the reading.
A reader opens a document while it lists only to know who the object is; else `Item.load` does, so that a document that
cannot be read is a loss of its object alone. Of a prompt each version has a place of its own, and the reader brings
them together.

Generations (G0 to G5), in the order of time: flat documents named ``manifest.json``; flat with ``export_info``; flat
with names of their own; the envelope ``system``/``info``/``mlflow``; the same with ``export_file_version``; the same
with ``runs/``, logged models, traces, prompts and evaluation datasets.
"""
