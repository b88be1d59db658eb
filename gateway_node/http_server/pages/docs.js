// SPDX-License-Identifier: Apache-2.0
// Shows the description that is at the address of the page itself, to whoever asks for JSON.
'use strict';

SwaggerUIBundle({
  url: window.location.pathname,
  dom_id: '#description',
  layout: 'BaseLayout',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
