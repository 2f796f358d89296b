// Streamed answers and streamed bodies.
#include <deque>

#include "http/rig_test.h"

namespace mc::http {
namespace {
using namespace std::chrono_literals;

const std::string kStream = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kNext = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(Stream, SendsWhatIsWrittenAndLeavesTheConnectionUsable) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(kStream + kNext);
  const auto writer = rig.wait_writer();
  std::atomic<int> closed = 0;
  writer->on_close([&] { ++closed; });
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    all += std::to_string(i) + "\n";
    ASSERT_TRUE(writer->write(std::to_string(i) + "\n"));
  }
  EXPECT_EQ(closed, 0);
  writer->close();
  const RawAnswer answer = socket.read_answer();
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.body, all);
  EXPECT_EQ(socket.read_answer().body, "GET /next ");
  EXPECT_TRUE(eventually([&] { return closed == 1; }));
  EXPECT_FALSE(writer->write("late"));
  writer->close();
  writer->on_close([&] { ++closed; });
  EXPECT_EQ(closed, 2);
}

TEST(Stream, ReachesTheReaderAtOnce) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(kStream);
  const auto writer = rig.wait_writer();
  ASSERT_TRUE(socket.wait_for("\r\n\r\n"));
  for (int i = 0; i < 10; ++i) {
    const std::string line = "event " + std::to_string(i) + ";";
    writer->write(line);
    EXPECT_TRUE(socket.wait_for(line));
  }
}

TEST(Stream, CutsOffAReaderThatIsTooSlow) {
  Rig rig({.stream_queue_max = 64 << 10});
  RawSocket socket(rig.port(), 4096);
  socket.send(kStream);
  const auto writer = rig.wait_writer();
  std::atomic<bool> closed = false;
  writer->on_close([&] { closed = true; });
  const std::string chunk(10'000, 'x');
  int taken = 0;
  while (writer->write(chunk)) ASSERT_LT(++taken, 10'000);
  EXPECT_TRUE(eventually([&] { return closed.load(); }));
  EXPECT_FALSE(writer->write("more"));
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
}

TEST(Stream, CutsOffAReaderThatDoesNotReadAtAll) {
  Rig rig({.write_time = 100ms, .stream_queue_max = 64 << 20});
  RawSocket socket(rig.port(), 4096);
  socket.send(kStream);
  const auto writer = rig.wait_writer();
  std::atomic<bool> closed = false;
  writer->on_close([&] { closed = true; });
  writer->write(std::string(16 << 20, 'x'));
  EXPECT_TRUE(eventually([&] { return closed.load(); }));
}

TEST(Stream, NoticesThatTheReaderHasGone) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(kStream);
  const auto writer = rig.wait_writer();
  std::atomic<bool> closed = false;
  writer->on_close([&] { closed = true; });
  socket.close();
  EXPECT_TRUE(eventually([&] { return closed.load(); }));
  EXPECT_FALSE(writer->write("x"));
}

TEST(Stream, EndsProperlyWhenTheServerDrains) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(kStream);
  const auto writer = rig.wait_writer();
  writer->write("last words");
  EXPECT_TRUE(rig.server().drain(20s));
  const RawAnswer answer = socket.read_answer();
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.body, "last words");
  EXPECT_FALSE(writer->write("x"));
}

TEST(Stream, MayFollowAStreamAndOutliveTheTimeForAnswers) {
  Rig rig({.handle_time = 100ms});
  RawSocket socket = rig.connect();
  socket.send(kStream + kStream);
  rig.wait_writer()->close();
  EXPECT_EQ(socket.read_answer().body, "");
  const auto second = rig.wait_writer();
  ASSERT_TRUE(socket.wait_for("\r\n\r\n"));
  EXPECT_FALSE(socket.wait_readable(300));  // nothing happens, and above all no end
  EXPECT_TRUE(second->write("still here"));
  second->close();
  EXPECT_EQ(socket.read_answer().body, "still here");
}

TEST(Stream, IsSentAsItIsToHttp10) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send("GET /stream HTTP/1.0\r\n\r\n");
  const auto writer = rig.wait_writer();
  writer->write("plain");
  writer->close();
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_TRUE(socket.unread().ends_with("\r\n\r\nplain"));
}

// Takes pieces on another thread, one at a time.
class CountingSink : public BodySink {
 public:
  explicit CountingSink(std::size_t refuse_at = ~std::size_t{0}) : refuse_at_(refuse_at) {}
  ~CountingSink() override {
    for (std::thread& thread : threads_) thread.join();
  }
  void write(std::string piece, Next next) override {
    EXPECT_FALSE(busy_.exchange(true));
    bytes_ += piece.size();
    threads_.emplace_back([this, next = std::move(next)] {
      busy_ = false;
      next(bytes_ >= refuse_at_ ? std::optional(Response{.status = 422, .body = "stop"})
                                : std::nullopt);
    });
  }
  std::size_t bytes() const { return bytes_; }

 private:
  const std::size_t refuse_at_;
  std::atomic<bool> busy_ = false;
  std::atomic<std::size_t> bytes_ = 0;
  std::vector<std::thread> threads_;
};

TEST(Sink, TakesALargeBodyPieceByPiece) {
  Rig rig;
  auto sink = std::make_shared<CountingSink>();
  rig.sink = sink;
  RawSocket socket = rig.connect();
  const std::size_t size = 5'000'001;
  std::thread sender([&] {
    socket.send("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) +
                "\r\n\r\n");
    socket.send(std::string(size, 's'));
  });
  EXPECT_EQ(socket.read_answer().body, "PUT /sink ");
  sender.join();
  EXPECT_EQ(sink->bytes(), size);
  socket.send(kNext);
  EXPECT_EQ(socket.read_answer().body, "GET /next ");
  rig.sink = nullptr;
}

TEST(Sink, EndsTheExchangeWithAnAnswerOfItsOwn) {
  Rig rig;
  rig.sink = std::make_shared<CountingSink>(100'000);
  RawSocket socket = rig.connect();
  socket.send("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" +
              std::string(200'000, 's'));
  RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.headers["connection"], "close");
  rig.sink = nullptr;
}

TEST(Sink, IsDroppedWhenTheClientGivesUp) {
  Rig rig;
  auto sink = std::make_shared<CountingSink>();
  const std::weak_ptr<CountingSink> watched = sink;
  rig.sink = std::move(sink);
  RawSocket socket = rig.connect();
  socket.send("PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nabc");
  EXPECT_TRUE(eventually([&] { return watched.use_count() >= 2; }));
  rig.sink = nullptr;
  socket.close();
  EXPECT_TRUE(eventually([&] { return watched.expired(); }));
}

}  // namespace
}  // namespace mc::http
