#include "bench/load/sim_stats.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/load/response_reader.hpp"

namespace svc::load {
namespace {

struct Body final : BodySink {
  std::string text;
  void on_chunk() override {}
  void on_body(std::string_view piece) override { text += piece; }
};

Error failed(std::uint16_t port, const char* what) {
  return unavailable("simulator on port " + std::to_string(port), what);
}

// A blocking call; the run is over, or has not begun.
Result<std::string> get(const Options& options, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr);
  const std::string request = "GET /sim/stats HTTP/1.1\r\nHost: " + options.host + "\r\nConnection: close\r\n\r\n";
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): that is how the call is made
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    const int error = errno;
    ::close(fd);
    return failed(port, std::strerror(error));
  }
  ResponseReader reader;
  Body body;
  std::array<char, 4096> buffer{};
  while (reader.state() == ResponseReader::State::head || reader.state() == ResponseReader::State::body) {
    const auto got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      reader.end();
      break;
    }
    reader.feed({buffer.data(), static_cast<std::size_t>(got)}, body);
  }
  ::close(fd);
  if (reader.state() != ResponseReader::State::done || reader.status() != 200) {
    return failed(port, "no statistics");
  }
  return body.text;
}

}  // namespace

Result<SimStats> read_sim_stats(const Options& options) {
  SimStats sum;
  for (const auto port : options.sim_ports) {
    const auto text = get(options, port);
    if (!text) {
      return text.error();
    }
    const auto stats = nlohmann::json::parse(*text, nullptr, false);
    if (!stats.is_object() || !stats.contains("chunks")) {
      return failed(port, "no chunks in its statistics");
    }
    sum.chunks += stats["chunks"].get<std::uint64_t>();
    sum.active += stats.value("active", std::uint64_t{0});
  }
  return sum;
}

Result<SimStats> settled_sim_stats(const Options& options) {
  constexpr int kPauseMs = 250;  // no simulated engine that is worth measuring is slower than this for a token
  auto before = read_sim_stats(options);
  for (int left = 5000; before && left > 0; left -= kPauseMs) {
    ::poll(nullptr, 0, kPauseMs);
    auto after = read_sim_stats(options);
    if (!after || (*after == *before && after->active == 0)) {
      return after;
    }
    before = std::move(after);
  }
  return before;
}

}  // namespace svc::load
