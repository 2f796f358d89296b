// A file on its way into an object: in one piece when it is small, else in parts. An upload in
// parts that broke off goes on with the parts that the server has.
#pragma once

#include <cstdint>
#include <string>

#include "blob/s3/client.h"

namespace mc::blob {

inline constexpr std::int64_t kPartBytes = 8 << 20;  // S3 takes 5 MiB to 5 GiB
inline constexpr std::int64_t kPartsMax = 10'000;    // S3's limit

// A function of the size alone: an upload can be resumed by whoever has the file.
std::int64_t part_bytes(std::int64_t size);

// Requires: the key stands for these bytes and no others, so that the parts of another upload of it
// are parts of this one. Errors: as S3Client's; the parts that arrived stay for the next attempt.
Status put_file(S3Client& client, const std::string& key, const std::string& path,
                std::int64_t size);

}  // namespace mc::blob
