// AWS Signature Version 4 for headers: what a request to S3 is signed with. Pure; the clock and the
// key are arguments. docs/adr/0011-s3-requests-are-signed-here.md says why curl does not do it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace mc::blob {

struct S3Key {
  std::string access_key_id;
  std::string secret_access_key;
  std::string region;
  std::string service = "s3";
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct S3Signable {
  std::string method;
  std::string path;  // as it is sent: encoded already
  Pairs query;       // not encoded, in any order
  Pairs headers;     // all that are signed, `host` among them; names in lower case
  std::string payload_sha256;
};

// "20150830T123600Z": the value of x-amz-date.
std::string amz_date(Instant at);
// A path for a request: each byte but unreserved ones and "/" as %XX.
std::string encode_path(std::string_view path);
// "a=1&b=%20", sorted as the signature wants it; also what is sent.
std::string encode_query(Pairs query);
// The value of the Authorization header. Requires: `headers` has x-amz-date with `at`.
std::string sign(const S3Signable& request, const S3Key& key, Instant at);

}  // namespace mc::blob
