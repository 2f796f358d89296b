#include "blob/s3/answers.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/clip.h"
#include "base/text.h"
#include "blob/s3/xml.h"

namespace mc::blob {
namespace {
constexpr std::size_t kCodeBytesMax = 60;

Error not_s3(std::string_view what) {
  return {Code::store_failed,
          "S3_ENDPOINT answers with " + std::string(what) + ": is it the address of an S3 server?",
          {}};
}

Result<XmlElement> read_root(std::string_view body, std::string_view name) {
  auto root = read_xml(body);
  if (!root || root->name != name) return not_s3("something that is no " + std::string(name));
  return root;
}

std::string without_prefix(const std::string& key, std::size_t cut) {
  return key.substr(std::min(cut, key.size()));
}

Instant read_time(const std::string& text) { return parse_rfc3339(text).value_or(Instant{}); }

Error refused(Code code, const S3Refusal& refusal, const std::string& why) {
  return {code, refusal.endpoint + " " + why, {}};
}
}  // namespace

std::int64_t read_number(std::string_view text) {
  std::int64_t number = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc{} && read.ptr == text.data() + text.size() ? number : -1;
}

Result<S3Listing> read_listing(std::string_view body, std::size_t cut) {
  const auto root = read_root(body, "ListBucketResult");
  if (!root) return root.error();
  S3Listing out;
  for (const XmlElement& each : root->children) {
    if (each.name != "Contents") continue;
    out.objects.push_back({.key = without_prefix(each.text_of("Key"), cut),
                           .size = read_number(each.text_of("Size")),
                           .modified = read_time(each.text_of("LastModified"))});
  }
  if (root->text_of("IsTruncated") == "true") out.next = root->text_of("NextContinuationToken");
  return out;
}

Result<S3UploadList> read_uploads(std::string_view body, std::size_t cut) {
  const auto root = read_root(body, "ListMultipartUploadsResult");
  if (!root) return root.error();
  S3UploadList out;
  for (const XmlElement& each : root->children) {
    if (each.name != "Upload") continue;
    out.uploads.push_back({.key = without_prefix(each.text_of("Key"), cut),
                           .id = each.text_of("UploadId"),
                           .begun = read_time(each.text_of("Initiated"))});
  }
  if (root->text_of("IsTruncated") == "true") {
    out.next_key = root->text_of("NextKeyMarker");
    out.next_id = root->text_of("NextUploadIdMarker");
  }
  return out;
}

Result<S3PartList> read_parts(std::string_view body) {
  const auto root = read_root(body, "ListPartsResult");
  if (!root) return root.error();
  S3PartList out;
  for (const XmlElement& each : root->children) {
    if (each.name != "Part") continue;
    out.parts.push_back({.number = static_cast<int>(read_number(each.text_of("PartNumber"))),
                         .size = read_number(each.text_of("Size")),
                         .etag = each.text_of("ETag")});
  }
  if (root->text_of("IsTruncated") == "true") out.next = root->text_of("NextPartNumberMarker");
  return out;
}

Result<std::string> read_upload_id(std::string_view body) {
  const auto root = read_root(body, "InitiateMultipartUploadResult");
  if (!root) return root.error();
  if (root->text_of("UploadId").empty()) return not_s3("an upload without a name");
  return root->text_of("UploadId");
}

std::string write_parts(const std::vector<S3Part>& parts) {
  std::string out = "<CompleteMultipartUpload>";
  for (const S3Part& part : parts) {
    out += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>" +
           xml_text(part.etag) + "</ETag></Part>";
  }
  return out + "</CompleteMultipartUpload>";
}

std::string error_code(std::string_view body) {
  const auto root = read_xml(body);
  return root && root->name == "Error" ? clip(root->text_of("Code"), kCodeBytesMax) : std::string();
}

Error explain_refusal(const S3Refusal& refusal) {
  const std::string code = error_code(refusal.body);
  const std::string bucket = "the bucket " + refusal.bucket;
  if (code == "NoSuchBucket" || code == "InvalidBucketName")
    return refused(
        Code::store_failed, refusal,
        "has no bucket " + refusal.bucket + ": make it, or correct S3_BUCKET or S3_STYLE");
  if (code == "InvalidPart" || code == "InvalidPartOrder" || code == "EntityTooSmall")
    return refused(Code::conflict, refusal, "has other parts of an upload (" + code + ")");
  if (code == "NoSuchKey" || code == "NoSuchUpload" || refusal.status == 404)
    return refused(Code::not_found, refusal, "has no such object");
  if (code == "SignatureDoesNotMatch")
    return refused(Code::store_failed, refusal,
                   "refuses the signature: S3_SECRET_ACCESS_KEY does not belong to "
                   "S3_ACCESS_KEY_ID, or S3_REGION is wrong");
  if (code == "InvalidAccessKeyId")
    return refused(Code::store_failed, refusal,
                   "does not know the key: correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY");
  if (code == "RequestTimeTooSkewed") {
    const std::string there = refusal.date.empty() ? "" : ", where it is " + refusal.date;
    return refused(
        Code::store_failed, refusal,
        "says that this machine's clock is wrong" + clip(there, kCodeBytesMax) + ": set it (NTP)");
  }
  if (code == "AuthorizationHeaderMalformed" || code == "PermanentRedirect" ||
      refusal.status == 301 || refusal.status == 307) {
    const auto root = read_xml(refusal.body);
    const std::string region = root ? clip(root->text_of("Region"), kCodeBytesMax) : "";
    return refused(Code::store_failed, refusal,
                   "serves " + bucket + " from another region" +
                       (region.empty() ? "" : ", " + region) +
                       ": correct S3_REGION and S3_ENDPOINT");
  }
  if (code == "AccessDenied" || refusal.status == 403)
    return refused(Code::store_failed, refusal,
                   "does not let this key do a " + refusal.action + " in " + bucket +
                       ": it needs to list, read, write and delete there");
  if (code.empty() && refusal.status < 500 && !refusal.body.empty())
    return not_s3("status " + std::to_string(refusal.status) + " and no error of S3");
  const bool passes = refusal.status >= 500 || refusal.status == 429;
  return refused(passes ? Code::unreachable : Code::store_failed, refusal,
                 "refused a " + refusal.action + " (status " + std::to_string(refusal.status) +
                     (code.empty() ? ")" : ", " + code + ")"));
}

Instant parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::size_t kLength = std::string_view("Wed, 21 Oct 2026 07:28:00 GMT").size();
  if (text.size() != kLength || !text.ends_with(" GMT")) return {};
  const auto* month = std::ranges::find(kMonths, text.substr(8, 3));
  if (month == kMonths.end()) return {};
  const auto number = static_cast<int>(month - kMonths.begin()) + 1;
  const std::string iso = std::string(text.substr(12, 4)) + (number < 10 ? "-0" : "-") +
                          std::to_string(number) + "-" + std::string(text.substr(5, 2)) + "T" +
                          std::string(text.substr(17, 8)) + "Z";
  return read_time(iso);
}

}  // namespace mc::blob
