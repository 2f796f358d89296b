#include "redis/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace mc::redis {
namespace {
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

Error wrong_file(std::string_view parameter, const std::string& file, const error_code& error) {
  return {Code::invalid_setting,
          "the file " + file + ", which REDIS_URL names as " + std::string(parameter) +
              ", cannot be used: " + error.message(),
          {}};
}
}  // namespace

Status set_trust(const Place& place, ssl::context& trust) {
  error_code error;
  trust.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                        ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
                    error);
  trust.set_verify_mode(ssl::verify_peer, error);
  if (place.ca_file.empty()) {
    trust.set_default_verify_paths(error);
    if (error) return wrong_file("ca", "of the system's authorities", error);
  } else {
    trust.load_verify_file(place.ca_file, error);
    if (error) return wrong_file("ca", place.ca_file, error);
  }
  if (place.certificate_file.empty()) return {};
  trust.use_certificate_chain_file(place.certificate_file, error);
  if (error) return wrong_file("cert", place.certificate_file, error);
  // A key with a pass phrase is refused: nobody is there to be asked.
  trust.set_password_callback([](std::size_t, ssl::context::password_purpose) { return ""; },
                              error);
  trust.use_private_key_file(place.key_file, ssl::context::pem, error);
  if (error) return wrong_file("key", place.key_file, error);
  return {};
}

void expect_host(const Place& place, SSL* connection) {
  const bool is_address =
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), place.host.c_str()) == 1;
  if (is_address) return;
  ERR_clear_error();
  SSL_set1_host(connection, place.host.c_str());
  // As SSL_set_tlsext_host_name, whose macro has a cast of C.
  SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(place.host.c_str()));
}

bool is_tls_trouble(const error_code& error) {
  return error.category() == boost::asio::error::get_ssl_category();
}

std::string tls_trouble(const error_code& error, SSL* connection) {
  const auto reason = ERR_GET_REASON(static_cast<unsigned long>(error.value()));
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const long verdict = SSL_get_verify_result(connection);
    const std::string why = X509_verify_cert_error_string(verdict);
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
      return "its certificate is for another host (" + why +
             "): name it in REDIS_URL as the certificate does";
    return "its certificate is not trusted (" + why +
           "): put ?ca=FILE, with the authority that signed it, behind REDIS_URL";
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
    return "it does not speak TLS on this port: write redis://, or its TLS port";
  return "TLS failed (" + error.message() +
         "): if it wants a certificate of us, put &cert=FILE&key=FILE behind REDIS_URL";
}

}  // namespace mc::redis
