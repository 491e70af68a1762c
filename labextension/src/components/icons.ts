import { LabIcon } from '@jupyterlab/ui-components';

/** A stack of containers. */
export const containersIcon = new LabIcon({
  name: 'jupyter-tfcontainer:containers',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M3 13h8v7H3zm1.5 1.5v4H6v-4zm3 0v4H9v-4z" fill-rule="evenodd"/>
    <path d="M13 13h8v7h-8zm1.5 1.5v4H16v-4zm3 0v4H19v-4z" fill-rule="evenodd"/>
    <path d="M8 4h8v7H8zm1.5 1.5v4H11v-4zm3 0v4H14v-4z" fill-rule="evenodd"/>
  </g>
</svg>`
});

/** To start ahead: what is used next is warm. */
export const aheadIcon = new LabIcon({
  name: 'jupyter-tfcontainer:ahead',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M11 2h2v10h-2z"/>
    <path d="M17.8 5.2l-1.4 1.4a7 7 0 1 1-8.8 0L6.2 5.2a9 9 0 1 0 11.6 0z"/>
  </g>
</svg>`
});

/** A log. */
export const logIcon = new LabIcon({
  name: 'jupyter-tfcontainer:log',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M4 5h16v2H4zm0 4h10v2H4zm0 4h16v2H4zm0 4h7v2H4z"/>
</svg>`
});

/** TensorBoard: a curve that falls. */
export const boardIcon = new LabIcon({
  name: 'jupyter-tfcontainer:board',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M3 3h2v16h16v2H3z"/>
    <path d="M7 5h2c.6 5.6 3.5 9 11 10v2C11.5 16 7.6 12 7 5z"/>
  </g>
</svg>`
});

/** A port. */
export const portIcon = new LabIcon({
  name: 'jupyter-tfcontainer:port',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" fill-rule="evenodd"
    d="M3 4h18v16H3zm2 2v12h3v-4h2v4h4v-4h2v4h3V6z"/>
</svg>`
});
