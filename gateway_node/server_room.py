# SPDX-License-Identifier: Apache-2.0
"""What the server listens with, made of the configuration."""

from typing import TYPE_CHECKING

from gateway_node.ros.transport_configuration import TlsConfiguration
from gateway_node.start_files import FileSilent

if TYPE_CHECKING:
    from gateway_node.http_server.certificates import Certificates


async def opened_certificates(tls: TlsConfiguration | None) -> 'Certificates | None':
    """Return what TLS is spoken with, None where it is not; CertificatesInvalid, FileSilent."""
    if tls is None:
        return None
    # Without TLS no start waits for its modules.
    from gateway_node.http_server.certificates import CertificateFiles, Certificates

    certificates = Certificates(
        CertificateFiles(
            certificate=tls.certificate_file, key=tls.key_file, client_ca=tls.client_ca_file
        )
    )
    try:
        await certificates.open()
    except TimeoutError as error:
        raise FileSilent('server.tls.certificate_file', tls.certificate_file) from error
    return certificates
