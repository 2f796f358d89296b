#include <gmock/gmock.h>

#include "api/rig_test.h"
#include "base/file.h"
#include "base/sha256.h"

namespace mc::api {
namespace {

class PartsOfWorkers : public ApiRig {
 protected:
  void SetUp() override {
    start(kOneJob);
    task = take_task();
    path = "/api/v1/worker/blobs/" + digest + "?" + hold(task);
  }
  http::Response send(std::string offset, const std::string& bytes, std::string size = "11") {
    return call("PATCH", path, bytes, worker,
                {{"Upload-Offset", std::move(offset)}, {"Upload-Length", std::move(size)}});
  }
  // As HEAD tells.
  std::string arrived() {
    http::Request request;
    request.method = "GET";
    request.head_only = true;
    EXPECT_TRUE(http::read_target(path, request).ok());
    request.headers.push_back({"Authorization", "Bearer " + worker});
    std::promise<http::Response> answered;
    api->handle(request, [&](http::Response response) { answered.set_value(std::move(response)); });
    const http::Response response = answered.get_future().get();
    return response.status == 404 ? header(response, "Upload-Offset")
                                  : std::to_string(response.status);
  }
  Value task;
  const std::string digest = "sha256:" + sha256_hex("hello world");
  std::string path;
};

TEST_F(PartsOfWorkers, ABlobArrivesPartByPart) {
  EXPECT_EQ(arrived(), "0");
  const auto first = send("0", "hello ");
  EXPECT_EQ(first.status, 204);
  EXPECT_EQ(header(first, "Upload-Offset"), "6");
  EXPECT_EQ(arrived(), "6");
  EXPECT_EQ(call("GET", path, "", worker).status, 404);
  EXPECT_EQ(call("GET", "/api/v1/artifacts/" + digest).status, 404);
  EXPECT_EQ(header(send("6", "world"), "Upload-Offset"), "11");
  EXPECT_EQ(arrived(), "200");
  EXPECT_EQ(*read_file(blobs->open(digest)->path, 100), "hello world");
}

TEST_F(PartsOfWorkers, TheWrongPlaceIsToldTheRightOne) {
  send("0", "hello ");
  const auto wrong = send("3", "lo ");
  EXPECT_EQ(code(wrong), "conflict");
  EXPECT_EQ(header(wrong, "Upload-Offset"), "6");
  EXPECT_EQ(send("12", "x").status, 422);
  EXPECT_EQ(send("6", "world and more").status, 422);
  EXPECT_EQ(send("six", "x").status, 422);
  EXPECT_EQ(code(send("0", "x", "6000000000")), "too_large");
  EXPECT_EQ(code(call("PATCH", path, "x", worker)), "missing_field");
  EXPECT_EQ(arrived(), "6");
}

TEST_F(PartsOfWorkers, TheWrongDigestLeavesNothing) {
  send("0", "hello ");
  EXPECT_EQ(code(send("6", "earth")), "invalid_field");
  EXPECT_EQ(arrived(), "0");
  EXPECT_EQ(call("GET", path, "", worker).status, 404);
}

TEST_F(PartsOfWorkers, OnlyTheHolderOfTheTaskGoesOn) {
  send("0", "hello ");
  EXPECT_EQ(complete(task).status, 200);
  EXPECT_EQ(code(send("6", "world")), "fenced");
  EXPECT_EQ(arrived(), "409");
  EXPECT_FALSE(blobs->has(digest));
}

TEST_F(PartsOfWorkers, APartIsTakenPieceByPieceAndStaysWhenItBreaksOff) {
  http::Request request;
  request.method = "PATCH";
  ASSERT_TRUE(http::read_target(path, request).ok());
  request.headers = {
      {"Authorization", "Bearer " + worker}, {"Upload-Offset", "0"}, {"Upload-Length", "11"}};
  const auto give = [](http::BodySink& sink, const std::string& piece) {
    std::promise<int> taken;
    sink.write(piece, [&taken](const std::optional<http::Response>& refusal) {
      taken.set_value(refusal ? refusal->status : 0);
    });
    return taken.get_future().get();
  };
  const auto hanging = api->admit(request).sink;
  ASSERT_NE(hanging, nullptr);
  EXPECT_EQ(give(*hanging, "hel"), 0);
  EXPECT_EQ(give(*hanging, "lo"), 0);
  EXPECT_EQ(give(*api->admit(request).sink, "hello"), 409) << "that is here already";
  EXPECT_EQ(give(*hanging, " earth"), 409) << "another request came";
  EXPECT_EQ(arrived(), "5");
  EXPECT_EQ(send("5", " world").status, 204);
  EXPECT_TRUE(blobs->has(digest));
}

}  // namespace
}  // namespace mc::api
