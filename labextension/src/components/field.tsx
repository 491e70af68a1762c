import * as React from 'react';

/** A field of a form, below its label. */
export function Field(props: {
  label: string;
  hint?: string | undefined;
  children: React.ReactElement<{ id?: string; 'aria-describedby'?: string }>;
}): React.JSX.Element {
  const { label, hint, children } = props;
  const id = React.useId();
  const described = hint ? { 'aria-describedby': `${id}-hint` } : {};
  return (
    <div className="jp-tfcontainer-Field">
      <div>
        <label htmlFor={id}>{label}</label>
        {hint && <small id={`${id}-hint`}>{hint}</small>}
      </div>
      {React.cloneElement(children, { id, ...described })}
    </div>
  );
}
