// SPDX-License-Identifier: Apache-2.0
// Shows the description that is at the address of the page itself, to whoever asks for JSON. Where
// that needs a credential, the page asks for a token, and has it as long as it is open.
'use strict';

const form = document.getElementById('credential');
const field = document.getElementById('token');
const refusal = document.getElementById('refusal');

async function refusalOf(credential) {
  const answer = await fetch(window.location.pathname, {
    headers: {Accept: 'application/json', ...credential},
  });
  if (answer.status !== 401 && answer.status !== 429) {
    return null;
  }
  return (await answer.json()).message;
}

function show(credential) {
  SwaggerUIBundle({
    url: window.location.pathname,
    dom_id: '#description',
    layout: 'BaseLayout',
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    // So that no token stands in the commands that are shown.
    showMutatedRequest: false,
    requestInterceptor: (request) => {
      if (new URL(request.url, window.location).origin === window.location.origin) {
        request.headers = {...credential, ...request.headers};
      }
      return request;
    },
  });
}

async function open(token) {
  const credential = token === null ? {} : {Authorization: `Bearer ${token}`};
  let refused;
  try {
    refused = await refusalOf(credential);
  } catch (error) {
    refused = `The gateway does not answer, or this is no token: ${error.message}`;
  }
  form.hidden = refused === null;
  if (refused === null) {
    show(credential);
  } else {
    refusal.textContent = token === null ? '' : refused;
    field.focus();
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const token = field.value.trim();
  field.value = '';
  open(token);
});

open(null);
