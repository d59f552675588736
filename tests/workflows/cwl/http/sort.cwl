cwlVersion: v1.2
class: CommandLineTool
baseCommand: sort
stdout: $(inputs.sorted)
inputs:
  text:
    type: File
    inputBinding: {position: 2}
  descending:
    type: boolean
    inputBinding: {position: 1, prefix: -r}
  sorted: string
outputs:
  lines: stdout
