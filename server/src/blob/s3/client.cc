#include "blob/s3/client.h"

#include <algorithm>

#include "base/log.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/uuid.h"
#include "blob/s3/answers.h"
#include "blob/s3/xml.h"

namespace mc::blob {
namespace {
constexpr std::size_t kAnswerMax = 16 << 20;  // lists of 1000 entries are far below
constexpr int kListMax = 1000;
constexpr int kPagesMax = 1000;
constexpr int kPauseDoublingsMax = 6;
constexpr const char* kProbeKey = "maestro-probe-";
constexpr std::string_view kProbe = "maestro writes here\n";
constexpr const char* kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

bool passes(const http::ClientResponse& answer) {
  return answer.status >= 500 || answer.status == 429 || answer.status == 408 ||
         (answer.status == 400 && error_code(answer.body) == "RequestTimeout");
}
}  // namespace

Status check_place(const S3Place& place) {
  const std::size_t scheme = place.endpoint.find("://");
  const std::string_view host = scheme == std::string::npos
                                    ? std::string_view()
                                    : std::string_view(place.endpoint).substr(scheme + 3);
  const bool http = place.endpoint.starts_with("http://") || place.endpoint.starts_with("https://");
  if (!http || host.empty() || host.find_first_of("/?#@") != std::string_view::npos) {
    return Error{Code::invalid_setting,
                 "S3_ENDPOINT: http(s)://HOST or http(s)://HOST:PORT is wanted, without a path",
                 {}};
  }
  const bool named = !place.bucket.empty() && std::ranges::all_of(place.bucket, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
  if (!named) return Error{Code::invalid_setting, "S3_BUCKET: this is no name of a bucket", {}};
  if (place.key.access_key_id.empty() || place.key.secret_access_key.empty()) {
    return Error{Code::invalid_setting,
                 "S3_BUCKET is set, so S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are wanted, too",
                 {}};
  }
  return {};
}

S3Client::S3Client(S3Place place) : place_(std::move(place)) {
  const std::size_t scheme = place_.endpoint.find("://");
  scheme_ = place_.endpoint.substr(0, scheme + 3);
  host_ = place_.endpoint.substr(scheme + 3);
  const std::string_view usual = scheme_ == "https://" ? ":443" : ":80";
  if (host_.ends_with(usual)) host_.resize(host_.size() - usual.size());
  if (place_.virtual_host) host_ = place_.bucket + "." + host_;
}

http::ClientRequest S3Client::request_of(const Call& call) const {
  const Instant now = place_.clock->now();
  S3Signable signable{.method = call.method,
                      .path = place_.virtual_host ? "/" : "/" + place_.bucket,
                      .query = call.query,
                      .headers = {},
                      .payload_sha256 = call.body.empty() ? kEmptySha256 : sha256_hex(call.body)};
  if (!call.of_bucket) {
    if (!place_.virtual_host) signable.path += "/";
    signable.path += encode_path(place_.prefix + call.key);
  }
  signable.headers = {{"host", host_},
                      {"x-amz-content-sha256", signable.payload_sha256},
                      {"x-amz-date", amz_date(now)}};
  signable.headers.insert(signable.headers.end(), call.headers.begin(), call.headers.end());
  http::ClientRequest request;
  request.method = call.method;
  request.url = scheme_ + host_ + signable.path;
  if (!call.query.empty()) request.url += "?" + encode_query(call.query);
  for (const auto& [name, value] : signable.headers) request.headers.push_back({name, value});
  request.headers.push_back({"authorization", sign(signable, place_.key, now)});
  request.headers.push_back(
      {"content-type", call.content_type.empty() ? "application/octet-stream" : call.content_type});
  request.body = call.body;
  request.body_max = kAnswerMax;
  request.timeout = Millis(0);
  request.connect_timeout = place_.connect_timeout;
  request.stall_timeout = place_.stall_timeout;
  request.on_data = call.take;
  request.stop = stop_.get_token();
  return request;
}

Result<http::ClientResponse> S3Client::send_once(const Call& call) {
  std::unique_ptr<http::Client> client;
  {
    const std::scoped_lock lock(mutex_);
    if (!idle_.empty()) {
      client = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!client) client = std::make_unique<http::Client>();
  Result<http::ClientResponse> answer = client->send(request_of(call));
  if (!answer) return answer;  // its connection may be in any state
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(client));
  return answer;
}

// False: there is no time for another attempt.
bool S3Client::pause(int attempt) {
  std::unique_lock lock(mutex_);
  const auto time = place_.first_pause * (1 << std::min(attempt, kPauseDoublingsMax));
  stopped_.wait_for(lock, stop_.get_token(), time, [] { return false; });
  return !stop_.stop_requested();
}

Result<http::ClientResponse> S3Client::call(const Call& call) {
  bool begun = false;
  Call watched = call;
  if (call.take) {
    watched.take = [&](std::string_view piece) {
      begun = true;
      return call.take(piece);
    };
  }
  for (int attempt = 0;; ++attempt) {
    Result<http::ClientResponse> answer = send_once(watched);
    if (answer && answer->status < 300 && answer->status >= 200) return answer;
    const bool again = !begun && (!answer || passes(*answer)) && attempt + 1 < place_.attempts;
    const Error error = answer ? refusal(call, *answer) : answer.error();
    if (!again) return error;
    log_debug("S3: another attempt", {{"method", call.method}, {"reason", error.message}});
    if (!pause(attempt)) return error;
  }
}

Error S3Client::refusal(const Call& call, const http::ClientResponse& answer) const {
  const std::string* date = answer.header("date");
  return explain_refusal({.status = answer.status,
                          .body = answer.body,
                          .endpoint = place_.endpoint,
                          .bucket = place_.bucket,
                          .action = call.method + (call.of_bucket ? " of a list" : " of an object"),
                          .date = date == nullptr ? "" : *date});
}

// These are answered before their work is done: whether it was is in the body.
Status S3Client::late_error(const std::string& body, std::string_view wanted) const {
  const auto root = read_xml(body);
  if (root && root->name == wanted) return {};
  return explain_refusal({.status = 500,
                          .body = body,
                          .endpoint = place_.endpoint,
                          .bucket = place_.bucket,
                          .action = "a change of an object",
                          .date = ""});
}

Status S3Client::check() {
  const auto as_setting = [](const Error& error) {
    const Code code = error.code == Code::unreachable ? Code::unreachable : Code::invalid_setting;
    const std::string hint =
        error.code == Code::unreachable ? " (S3_ENDPOINT, or the network between)" : "";
    return Error{code, "S3: " + error.message + hint, {}};
  };
  if (const auto listed = list("", "", 1); !listed) return as_setting(listed.error());
  // Its own: others may be starting, too.
  Rng rng(random_seed());
  const std::string key = kProbeKey + to_string(make_uuid(place_.clock->now(), rng));
  if (const Status put_once = put(key, std::string(kProbe)); !put_once)
    return as_setting(put_once.error());
  std::string kept;
  const Status got = get(key, [&](std::string_view piece) {
    kept += piece;
    return kept.size() <= kProbe.size();
  });
  const Status removed = remove(key);
  if (!got) return as_setting(got.error());
  if (!removed) return as_setting(removed.error());
  if (kept == kProbe) return {};
  return Error{Code::invalid_setting,
               "S3: an object comes back as another one than was put: is S3_ENDPOINT a cache?",
               {}};
}

Status S3Client::put(const std::string& key, std::string body) {
  const auto answer = call({.method = "PUT", .key = key, .body = std::move(body)});
  return answer ? Status() : Status(answer.error());
}

Status S3Client::renew(const std::string& key) {
  const std::string source = "/" + place_.bucket + "/" + encode_path(place_.prefix + key);
  // A copy onto itself is refused unless it changes something: here what describes it, of which
  // there is nothing.
  const auto answer =
      call({.method = "PUT",
            .key = key,
            .headers = {{"x-amz-copy-source", source}, {"x-amz-metadata-directive", "REPLACE"}}});
  if (!answer) return answer.error();
  return late_error(answer->body, "CopyObjectResult");
}

Result<S3Object> S3Client::head(const std::string& key) {
  const auto answer = call({.method = "HEAD", .key = key});
  if (!answer) return answer.error();
  const std::string* modified = answer->header("last-modified");
  const std::string* length = answer->header("content-length");
  return S3Object{.key = key,
                  .size = length == nullptr ? -1 : read_number(*length),
                  .modified = modified == nullptr ? Instant{} : parse_http_date(*modified)};
}

Status S3Client::get(const std::string& key, const std::function<bool(std::string_view)>& take) {
  bool ended = false;
  const auto watched = [&](std::string_view piece) {
    ended = !take(piece);
    return !ended;
  };
  const auto answer = call({.key = key, .take = watched});
  if (!answer) return answer.error();
  if (ended) return Error{Code::store_failed, "an object of S3 could not be kept", {}};
  return {};
}

Status S3Client::remove(const std::string& key) {
  const auto answer = call({.method = "DELETE", .key = key});
  if (answer || answer.error().code == Code::not_found) return {};
  return answer.error();
}

Result<std::vector<S3Object>> S3Client::list(const std::string& prefix, const std::string& after,
                                             int limit) {
  std::vector<S3Object> all;
  std::string token;
  for (int page = 0; page < kPagesMax && static_cast<int>(all.size()) < limit; ++page) {
    Pairs query{{"list-type", "2"}, {"prefix", place_.prefix + prefix}};
    const int left = limit - static_cast<int>(all.size());
    query.emplace_back("max-keys", std::to_string(std::min(left, kListMax)));
    if (!after.empty()) query.emplace_back("start-after", place_.prefix + after);
    if (!token.empty()) query.emplace_back("continuation-token", token);
    const auto answer = call({.of_bucket = true, .query = std::move(query)});
    if (!answer) return answer.error();
    const auto read = read_listing(answer->body, place_.prefix.size());
    if (!read) return read.error();
    all.insert(all.end(), read->objects.begin(), read->objects.end());
    token = read->next;
    if (token.empty()) break;
  }
  return all;
}

Result<std::string> S3Client::begin_upload(const std::string& key) {
  const auto answer = call({.method = "POST", .key = key, .query = {{"uploads", ""}}});
  return answer ? read_upload_id(answer->body) : answer.error();
}

Result<std::string> S3Client::put_part(const S3Upload& upload, int number, std::string body) {
  const auto answer =
      call({.method = "PUT",
            .key = upload.key,
            .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload.id}},
            .body = std::move(body)});
  if (!answer) return answer.error();
  const std::string* etag = answer->header("etag");
  if (etag != nullptr) return *etag;
  return Error{Code::store_failed, "S3 took a part without naming its ETag", {}};
}

Result<std::vector<S3Part>> S3Client::parts(const S3Upload& upload) {
  std::vector<S3Part> all;
  std::string marker;
  for (int page = 0; page < kPagesMax; ++page) {
    Pairs query{{"uploadId", upload.id}};
    if (!marker.empty()) query.emplace_back("part-number-marker", marker);
    const auto answer = call({.key = upload.key, .query = std::move(query)});
    if (!answer) return answer.error();
    const auto read = read_parts(answer->body);
    if (!read) return read.error();
    all.insert(all.end(), read->parts.begin(), read->parts.end());
    marker = read->next;
    if (marker.empty()) break;
  }
  return all;
}

Status S3Client::complete(const S3Upload& upload, const std::vector<S3Part>& parts) {
  const auto answer = call({.method = "POST",
                            .key = upload.key,
                            .query = {{"uploadId", upload.id}},
                            .content_type = "application/xml",
                            .body = write_parts(parts)});
  if (!answer) return answer.error();
  return late_error(answer->body, "CompleteMultipartUploadResult");
}

Status S3Client::abort(const S3Upload& upload) {
  const auto answer =
      call({.method = "DELETE", .key = upload.key, .query = {{"uploadId", upload.id}}});
  if (answer || answer.error().code == Code::not_found) return {};
  return answer.error();
}

Result<std::vector<S3Upload>> S3Client::uploads(const std::string& prefix) {
  std::vector<S3Upload> all;
  std::pair<std::string, std::string> marker;
  for (int page = 0; page < kPagesMax; ++page) {
    Pairs query{{"uploads", ""}, {"prefix", place_.prefix + prefix}};
    if (!marker.first.empty()) {
      query.emplace_back("key-marker", marker.first);
      query.emplace_back("upload-id-marker", marker.second);
    }
    const auto answer = call({.of_bucket = true, .query = std::move(query)});
    if (!answer) return answer.error();
    const auto read = read_uploads(answer->body, place_.prefix.size());
    if (!read) return read.error();
    all.insert(all.end(), read->uploads.begin(), read->uploads.end());
    marker = {read->next_key, read->next_id};
    if (marker.first.empty()) break;
  }
  return all;
}

}  // namespace mc::blob
