#include "bench/sim/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <system_error>

#include "bench/sim/start_lines.hpp"
#include "common/core/json_text.hpp"

namespace svc::sim {
namespace {

/// Whole at once, so that nobody reads half a number.
void write_port_file(const std::string& path, std::uint16_t port) {
  if (path.empty()) return;
  const std::string temporary = path + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "we");
  const bool written = file != nullptr && std::fprintf(file, "%u\n", static_cast<unsigned>(port)) > 0;
  if ((file != nullptr && std::fclose(file) != 0) || !written || std::rename(temporary.c_str(), path.c_str()) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot write " + path);
  }
}

}  // namespace

void Listener::open(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    throw std::invalid_argument("--host: not an IPv4 address");
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (fd_ < 0 || ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || ::bind(fd_, raw, size) != 0 ||
      ::listen(fd_, 4096) != 0 || ::getsockname(fd_, raw, &size) != 0 || !server_.loop.add_listener(fd_, *this)) {
    const int error = errno;
    ::close(fd_);
    fd_ = -1;
    throw std::system_error(error, std::generic_category(), "cannot listen on " + host + ":" + std::to_string(port));
  }
  port_ = ntohs(address.sin_port);
}

void Listener::close() {
  if (fd_ < 0) return;
  server_.loop.remove(fd_, *this);
  ::close(fd_);
  fd_ = -1;
}

void Listener::on_io(IoEvents) {
  for (int i = 0; i < 64 && fd_ >= 0; ++i) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    server_.accepted(fd, control_);
  }
}

struct Server::SignalWatch final : IoHandler {
  explicit SignalWatch(Server& owner) : server(owner) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    fd = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0 || !server.loop.add(fd, *this)) throw std::system_error(errno, std::generic_category(), "signalfd");
  }
  ~SignalWatch() {
    server.loop.remove(fd, *this);
    ::close(fd);
  }
  void on_io(IoEvents) override {
    signalfd_siginfo info{};
    while (::read(fd, &info, sizeof info) == sizeof info) server.on_signal();
  }
  Server& server;
  int fd = -1;
};

Server::Server(const Options& given)
    : options(given),
      faults(given.seed),
      recorder(given.record, given.record_body),
      answers(given),
      engine(loop, given, stats),
      delays(loop),
      listener_(*this, false),
      control_(*this, true),
      signals_(std::make_unique<SignalWatch>(*this)),
      id_base_(static_cast<std::uint32_t>(::getpid())) {
  for (const std::string& text : options.faults) {
    const auto fault = parse_fault(text);
    if (fault.has_error()) throw std::invalid_argument("--fault " + text + ": " + fault.error().message);
    add_fault(*fault);
  }
}

Server::~Server() = default;

void Server::run() {
  if (options.control_port >= 0) {
    control_.open(options.host, static_cast<std::uint16_t>(options.control_port));
    write_port_file(options.control_port_file, control_.port());
  }
  print_loading(options);
  if (options.ready_after > 0) {
    const auto wait = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.ready_after));
    delays.at(steady_now() + wait, [this] { become_ready(); });
  } else {
    become_ready();
  }
  while (!stopping_ && !(draining_ && connections_.empty())) {
    loop.run_once(engine.flowing() ? Duration::zero() : Duration(std::chrono::hours(1)));
    answers.set_time(loop.now());
    if (engine.flowing()) engine.run_flowing();
    for (std::size_t i = 0; i < revisits_.size(); ++i) {
      Connection* connection = revisits_[i];  // nullptr: gone since
      if (connection == nullptr) continue;
      connection->revisiting = false;
      revisits_[i] = nullptr;
      connection->on_revisit();
    }
    revisits_.clear();
  }
  while (!connections_.empty()) connections_.back()->close(false);
  loop.run_once(Duration::zero());
  print_stopped(options);
}

void Server::become_ready() {
  listener_.open(options.host, options.port);
  ready_ = true;
  apply_faults();
  print_ready(options, listener_.port());
  write_port_file(options.port_file, listener_.port());
}

void Server::on_signal() {
  if (draining_) stopping_ = true;
  draining_ = true;
  listener_.close();
  for (std::size_t i = connections_.size(); i > 0; --i) connections_[i - 1]->drain();
}

void Server::accepted(int fd, bool control) {
  if (!control && faults.has(FaultKind::reset_on_accept)) {
    const auto struck =
        faults.strike(FaultTarget::all, [](const Fault& f) { return f.kind == FaultKind::reset_on_accept; });
    if (struck) {
      ++stats.faults;
      const linger now{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      ::close(fd);
      return;
    }
  }
  if (!control) {
    ++stats.connections;
    ++stats.connections_total;
  }
  auto connection = std::make_unique<Connection>(*this, fd, stats.connections_total, control);
  connection->index = connections_.size();
  connections_.push_back(std::move(connection));
  connections_.back()->start();
}

void Server::remove(Connection& connection) {
  if (!connection.is_control()) --stats.connections;
  if (connection.revisiting)
    std::replace(revisits_.begin(), revisits_.end(), &connection, static_cast<Connection*>(nullptr));
  auto& place = connections_[connection.index];
  loop.retire(std::move(place));
  if (&place != &connections_.back()) {
    place = std::move(connections_.back());
    place->index = connection.index;
  }
  connections_.pop_back();
}

void Server::revisit(Connection& connection) {
  if (connection.revisiting) return;
  connection.revisiting = true;
  revisits_.push_back(&connection);
}

void Server::add_fault(const Fault& fault, const Connection* spared) {
  const std::uint64_t id = faults.add(fault);
  if (fault.length > Duration::zero()) {
    delays.at(steady_now() + fault.length, [this, id] {
      faults.remove(id);
      apply_faults();
    });
  }
  if (fault.kind == FaultKind::refuse && fault.rst) {
    for (std::size_t i = connections_.size(); i > 0; --i) {
      Connection& connection = *connections_[i - 1];
      if (!connection.is_control() && &connection != spared) connection.close(true);
    }
  }
  apply_faults();
}

void Server::apply_faults() {
  if (faults.has(FaultKind::step_failure) != engine.failed()) engine.failed() ? engine.recover() : engine.fail();
  if (!ready_ || draining_) return;
  const bool refuse = faults.has(FaultKind::refuse);
  if (refuse && listener_.is_open()) listener_.close();
  if (refuse || listener_.is_open()) return;
  try {
    listener_.open(options.host, listener_.port());
  } catch (const std::system_error&) {  // somebody else has the port for the moment
    delays.at(steady_now() + std::chrono::milliseconds(50), [this] { apply_faults(); });
  }
}

std::string Server::stats_json() const {
  std::string out = to_json(stats);
  const auto add = [&out](const char* name, std::uint64_t value) {
    out.append(",\"").append(name).append("\":");
    append_json_int(out, value);
  };
  add("pid", static_cast<std::uint64_t>(::getpid()));
  add("port", listener_.port());
  add("blocks", engine.cache().total_blocks());
  add("free_blocks", engine.cache().free_blocks());
  add("idle_blocks", engine.cache().idle_blocks());
  out += ",\"failed\":";
  append_json_bool(out, engine.failed());
  out += ",\"model\":";
  append_json_string(out, options.models.front());
  return out + "}";
}

}  // namespace svc::sim
