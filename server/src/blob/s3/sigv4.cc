#include "blob/s3/sigv4.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/sha256.h"
#include "base/text.h"

namespace mc::blob {
namespace {
constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::size_t kDateDigits = 8;

std::string hmac(std::string_view key, std::string_view text) {
  crypto_auth_hmacsha256_state state;
  std::string out(crypto_auth_hmacsha256_BYTES, '\0');
  const auto bytes = [](std::string_view view) {
    return reinterpret_cast<const unsigned char*>(view.data());
  };
  crypto_auth_hmacsha256_init(&state, bytes(key), key.size());
  crypto_auth_hmacsha256_update(&state, bytes(text), text.size());
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

// Runs of spaces count as one.
std::string squeezed(std::string_view value) {
  std::string out;
  for (const char c : trim(value)) {
    if (c != ' ' || out.back() != ' ') out += c;
  }
  return out;
}
}  // namespace

std::string amz_date(Instant at) {
  std::string date;
  for (const char c : to_rfc3339(at).substr(0, std::string_view("2015-08-30T12:36:00").size())) {
    if (c != '-' && c != ':') date += c;
  }
  return date + "Z";
}

std::string encode_path(std::string_view path) {
  std::string out;
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t slash = std::min(path.find('/', from), path.size());
    out += percent_encode(path.substr(from, slash - from));
    if (slash < path.size()) out += '/';
    from = slash + 1;
  }
  return out;
}

std::string encode_query(Pairs query) {
  for (auto& [name, value] : query) {
    name = percent_encode(name);
    value = percent_encode(value);
  }
  std::ranges::sort(query);
  std::string out;
  for (const auto& [name, value] : query) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

std::string sign(const S3Signable& request, const S3Key& key, Instant at) {
  Pairs headers = request.headers;
  std::ranges::sort(headers);
  std::string canonical =
      request.method + "\n" + request.path + "\n" + encode_query(request.query) + "\n";
  std::string names;
  for (const auto& [name, value] : headers) {
    canonical += name;
    canonical += ':';
    canonical += squeezed(value);
    canonical += '\n';
    if (!names.empty()) names += ';';
    names += name;
  }
  canonical += "\n" + names + "\n" + request.payload_sha256;
  const std::string time = amz_date(at);
  const std::string day = time.substr(0, kDateDigits);
  const std::string scope = day + "/" + key.region + "/" + key.service + "/aws4_request";
  const std::string text =
      std::string(kAlgorithm) + "\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
  std::string signing = hmac("AWS4" + key.secret_access_key, day);
  for (const std::string& part : {key.region, key.service, std::string("aws4_request")})
    signing = hmac(signing, part);
  return std::string(kAlgorithm) + " Credential=" + key.access_key_id + "/" + scope +
         ", SignedHeaders=" + names + ", Signature=" + hex(hmac(signing, text));
}

}  // namespace mc::blob
