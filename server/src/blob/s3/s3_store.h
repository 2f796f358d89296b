// The blob store over a bucket of S3 or what speaks like it, with a local folder for copies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "blob/blob_store.h"
#include "blob/s3/client.h"
#include "blob/s3/logs.h"

namespace mc::blob {

struct S3Settings {
  S3Place place;
  std::string folder;  // copies of blobs in use, and logs, are in `folder`/s3
  std::int64_t cache_bytes_max = std::int64_t{10} << 30;
  // A blob that came less than this ago is not sent or renewed again: well below the grace period
  // of what nobody refers to.
  Millis young{3'600'000};
  S3LogSettings logs;
};

// Whether the bucket can be listed and written. Errors: as open_s3.
Status check_s3(const S3Settings& settings);

// The only server there is asks S3 first: what is wrong with the settings is told here. Errors:
// invalid_setting, unreachable, data_folder.
Result<std::unique_ptr<BlobStore>> open_s3(const S3Settings& settings);

}  // namespace mc::blob
