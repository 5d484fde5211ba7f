import { useMemo, useState } from 'react'
import { Decoration, Diff, type FileData, Hunk, parseDiff } from 'react-diff-view'
import 'react-diff-view/style/index.css'
import styled from 'styled-components'
import { Button, Muted, t } from '@/shared/ui'

/** Files with more changed lines open only when asked for. */
const LARGE_FILE = 400

const File = styled.section`
  margin-top: ${t.space.s};
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.m};
  overflow: hidden;
  header { display: flex; align-items: center; gap: ${t.space.s}; padding: 6px 10px; background: ${t.color.sunken}; font: 12px ${t.mono}; overflow-wrap: anywhere; }
  header > :last-child { margin-left: auto; white-space: nowrap; }
  & > div { overflow-x: auto; }
  .diff {
    --diff-text-color: ${t.color.fg};
    --diff-font-family: ${t.mono};
    --diff-selection-background-color: ${t.color.accentSoft};
    --diff-selection-text-color: ${t.color.fg};
    --diff-gutter-insert-background-color: var(--dt-add-edit);
    --diff-gutter-insert-text-color: ${t.color.fg};
    --diff-gutter-delete-background-color: var(--dt-del-edit);
    --diff-gutter-delete-text-color: ${t.color.fg};
    --diff-gutter-selected-background-color: ${t.color.accentSoft};
    --diff-code-insert-background-color: var(--dt-add);
    --diff-code-insert-text-color: ${t.color.fg};
    --diff-code-delete-background-color: var(--dt-del);
    --diff-code-delete-text-color: ${t.color.fg};
    --diff-code-selected-background-color: ${t.color.accentSoft};
    font-size: 12px;
    min-width: 560px;
    tab-size: 4;
  }
  .diff-gutter-normal { color: ${t.color.muted}; }
  .diff-decoration-content { padding: 2px 10px; background: ${t.color.surface}; color: ${t.color.muted}; font-family: ${t.mono}; }
`

export default function DiffFiles({ diff, split }: { diff: string; split: boolean }) {
  const files = useMemo(() => parseDiff(diff, { nearbySequences: 'zip' }), [diff])
  return files.map((file, index) => <DiffFile key={`${pathOf(file)}/${index}`} file={file} split={split} />)
}

function pathOf(file: FileData): string {
  if (file.type === 'delete') return file.oldPath
  return file.type === 'rename' ? `${file.oldPath} → ${file.newPath}` : file.newPath
}

function DiffFile({ file, split }: { file: FileData; split: boolean }) {
  const changes = file.hunks.flatMap((hunk) => hunk.changes)
  const added = changes.filter((change) => change.type === 'insert').length
  const deleted = changes.filter((change) => change.type === 'delete').length
  const [open, setOpen] = useState(added + deleted <= LARGE_FILE)
  return (
    <File aria-label={pathOf(file)}>
      <header>
        {pathOf(file)}
        {file.type !== 'modify' && <Muted>{file.type}</Muted>}
        <span>
          +{added} −{deleted}
        </span>
      </header>
      {open ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part must be reachable by keyboard
        <div tabIndex={0}>
          {file.hunks.length === 0 ? (
            <Muted>No text to show (binary or mode change)</Muted>
          ) : (
            <Diff viewType={split ? 'split' : 'unified'} diffType={file.type} hunks={file.hunks}>
              {(hunks) =>
                hunks.flatMap((hunk) => [
                  <Decoration key={`@${hunk.content}`}>{hunk.content}</Decoration>,
                  <Hunk key={hunk.content} hunk={hunk} />,
                ])
              }
            </Diff>
          )}
        </div>
      ) : (
        <Button look="quiet" onClick={() => setOpen(true)}>
          Show {added + deleted} changed lines
        </Button>
      )}
    </File>
  )
}
