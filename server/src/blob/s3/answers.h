// What S3 answers with, read: lists, uploads, parts, refusals. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "blob/s3/client.h"

namespace mc::blob {

struct S3Listing {
  std::vector<S3Object> objects;
  std::string next;  // the token of the next page; empty: this was the last
};
struct S3PartList {
  std::vector<S3Part> parts;
  std::string next;  // the marker of the next page; empty: this was the last
};
struct S3UploadList {
  std::vector<S3Upload> uploads;
  std::string next_key, next_id;  // as above
};

// `cut`: how many bytes of each key are the store's prefix. Errors of all: store_failed: what
// answered was not S3.
Result<S3Listing> read_listing(std::string_view body, std::size_t cut);
Result<S3UploadList> read_uploads(std::string_view body, std::size_t cut);
Result<S3PartList> read_parts(std::string_view body);
Result<std::string> read_upload_id(std::string_view body);
// The body of CompleteMultipartUpload.
std::string write_parts(const std::vector<S3Part>& parts);

// "NoSuchKey"; empty: the body is no error of S3.
std::string error_code(std::string_view body);

struct S3Refusal {
  int status = 0;
  std::string_view body;
  std::string endpoint, bucket;
  std::string action;  // "PUT of an object"
  std::string date;    // the answer's
};
// What was refused and how to mend it, in the words of the settings. Never the server's own
// message: it repeats what was signed.
Error explain_refusal(const S3Refusal& refusal);

// "Wed, 21 Oct 2026 07:28:00 GMT"; 0 when it is not that.
Instant parse_http_date(std::string_view text);
// -1 when it is no number from 0 on.
std::int64_t read_number(std::string_view text);

}  // namespace mc::blob
