rule report:
    input:
        dag.runs(),
