// The calls of S3 that the store needs, signed, over one bucket. What may pass (no connection, 5xx,
// 429, a slow answer) is tried again with growing pauses; every other refusal is an error that says
// what to mend. No secret is in any message.
//
// Errors of all calls: not_found (no such object or upload), conflict (the parts are not those
// that the server has), store_failed (refused for good), unreachable (5xx, 429, or could not be
// asked).
// Threads: any.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "blob/s3/sigv4.h"
#include "http/client.h"

namespace mc::blob {

struct S3Place {
  std::string endpoint;  // "https://s3.eu-central-1.amazonaws.com"; no path
  std::string bucket;
  S3Key key;
  bool virtual_host = false;  // BUCKET.HOST/KEY instead of HOST/BUCKET/KEY
  std::string prefix;         // before every key: "", or one that ends with "/"
  Clock* clock = &system_clock();
  int attempts = 5;
  Millis first_pause{100};  // then twice as long each time
  Millis connect_timeout{5'000};
  Millis stall_timeout{30'000};
};

struct S3Object {
  std::string key;  // without the prefix
  std::int64_t size = 0;
  Instant modified;
};

struct S3Upload {
  std::string key;
  std::string id;
  Instant begun;
};

struct S3Part {
  int number = 0;  // from 1
  std::int64_t size = 0;
  std::string etag;
};

class S3Client {
 public:
  explicit S3Client(S3Place place);
  // Ends calls in flight on other threads with unreachable, and every later one.
  void stop() { stop_.request_stop(); }

  // Lists, writes, reads and removes once, so that what is wrong with the settings is told at the
  // start. Errors: invalid_setting, unreachable; they name settings and say how to mend them.
  Status check();

  Status put(const std::string& key, std::string body);
  // The object as it is, with the present as its time of change. S3 takes at most 5 GiB.
  Status renew(const std::string& key);
  Result<S3Object> head(const std::string& key);
  // Gives the body in pieces; false from `take` ends it with store_failed.
  Status get(const std::string& key, const std::function<bool(std::string_view)>& take);
  // Fine when there is none.
  Status remove(const std::string& key);
  // In byte order, keys greater than `after`; fewer than `limit`: there are no more.
  Result<std::vector<S3Object>> list(const std::string& prefix, const std::string& after,
                                     int limit);

  Result<std::string> begin_upload(const std::string& key);
  // Returns the part's ETag.
  Result<std::string> put_part(const S3Upload& upload, int number, std::string body);
  Result<std::vector<S3Part>> parts(const S3Upload& upload);
  Status complete(const S3Upload& upload, const std::vector<S3Part>& parts);
  Status abort(const S3Upload& upload);
  Result<std::vector<S3Upload>> uploads(const std::string& prefix);

 private:
  struct Call {
    std::string method = "GET";
    std::string key;
    bool of_bucket = false;  // `key` is not used
    Pairs query;
    std::string content_type;
    Pairs headers;  // more of them, signed; names in lower case
    std::string body;
    std::function<bool(std::string_view)> take;
  };
  Result<http::ClientResponse> call(const Call& call);
  Result<http::ClientResponse> send_once(const Call& call);
  http::ClientRequest request_of(const Call& call) const;
  bool pause(int attempt);
  Error refusal(const Call& call, const http::ClientResponse& answer) const;
  Status late_error(const std::string& body, std::string_view wanted) const;

  const S3Place place_;
  std::string scheme_, host_;
  std::stop_source stop_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any stopped_;
  std::vector<std::unique_ptr<http::Client>> idle_;
};

// Errors: invalid_setting: not http(s)://HOST[:PORT], or no name for a bucket.
Status check_place(const S3Place& place);

}  // namespace mc::blob
