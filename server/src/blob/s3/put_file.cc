#include "blob/s3/put_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "base/file.h"

namespace mc::blob {
namespace {

Result<std::string> read_part(const Fd& fd, std::int64_t offset, std::int64_t length) {
  std::string bytes(static_cast<std::size_t>(length), '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::pread(fd.get(), bytes.data() + done, bytes.size() - done,
                              offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return os_error(Code::store_failed, "cannot read an upload");
    done += static_cast<std::size_t>(n);
  }
  return bytes;
}

Result<S3Upload> begin(S3Client& client, const std::string& key) {
  auto id = client.begin_upload(key);
  if (!id) return id.error();
  return S3Upload{.key = key, .id = *id, .begun = {}};
}

// The upload that an earlier attempt left, or a new one.
Result<S3Upload> find_or_begin(S3Client& client, const std::string& key) {
  auto begun = client.uploads(key);
  if (!begun) return begun.error();
  std::erase_if(*begun, [&](const S3Upload& upload) { return upload.key != key; });
  if (!begun->empty()) return *std::ranges::max_element(*begun, {}, &S3Upload::begun);
  return begin(client, key);
}

Status send_parts(S3Client& client, const S3Upload& upload, const Fd& fd, std::int64_t size) {
  const auto there = client.parts(upload);
  if (!there) return there.error();
  std::map<int, S3Part> known;
  for (const S3Part& part : *there) known[part.number] = part;
  std::vector<S3Part> all;
  const std::int64_t step = part_bytes(size);
  for (std::int64_t offset = 0; offset < size; offset += step) {
    const std::int64_t length = std::min(step, size - offset);
    S3Part part{.number = static_cast<int>(offset / step) + 1, .size = length, .etag = {}};
    if (const auto found = known.find(part.number);
        found != known.end() && found->second.size == length) {
      part.etag = found->second.etag;
    } else {
      auto bytes = read_part(fd, offset, length);
      if (!bytes) return bytes.error();
      auto etag = client.put_part(upload, part.number, std::move(*bytes));
      if (!etag) return etag.error();
      part.etag = std::move(*etag);
    }
    all.push_back(std::move(part));
  }
  return client.complete(upload, all);
}
}  // namespace

std::int64_t part_bytes(std::int64_t size) {
  constexpr std::int64_t kStep = 1 << 20;
  const std::int64_t least = (size + kPartsMax - 1) / kPartsMax;
  return std::max(kPartBytes, (least + kStep - 1) / kStep * kStep);
}

Status put_file(S3Client& client, const std::string& key, const std::string& path,
                std::int64_t size) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_error(Code::store_failed, "cannot read an upload");
  if (size <= kPartBytes) {
    auto bytes = read_part(fd, 0, size);
    return bytes ? client.put(key, std::move(*bytes)) : Status(bytes.error());
  }
  // What the server has of an upload may be of no use, or somebody else, who sends the same, may
  // have completed or dropped it: then once more, from the beginning.
  constexpr int kAttempts = 3;
  Status sent;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto upload = attempt == 0 ? find_or_begin(client, key) : begin(client, key);
    if (!upload) return upload.error();
    sent = send_parts(client, *upload, fd, size);
    if (sent || (sent.error().code != Code::conflict && sent.error().code != Code::not_found))
      return sent;
    if (const Status dropped = client.abort(*upload); !dropped) return dropped;
  }
  return Error{Code::store_failed, sent.error().message, {}};
}

}  // namespace mc::blob
