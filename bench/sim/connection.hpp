// One client connection: reads requests one after the other, runs each, writes its answer.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/sim/alarm.hpp"
#include "bench/sim/answers.hpp"
#include "bench/sim/engine.hpp"
#include "bench/sim/faults.hpp"
#include "bench/sim/request_parser.hpp"
#include "common/io/event_loop.hpp"

namespace svc::sim {

class Server;
struct ChatRequest;

class Connection final : public IoHandler, public Retirable, private JobOwner {
 public:
  /// Takes the descriptor, which is non-blocking. `control`: of the control port.
  Connection(Server& server, int fd, std::uint64_t number, bool control);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// To be called once, when it is where it stays.
  void start();
  void on_io(IoEvents events) override;

  /// Goes on with what came while an answer was being made, or ends; see Server::revisit().
  void on_revisit();
  /// The process is to end: closes if there is nothing to answer, otherwise after the answer.
  void drain();
  /// Closes at once; `rst`: the peer sees a reset.
  void close(bool rst);

  std::size_t index = 0;    ///< the server's
  bool revisiting = false;  ///< the server's
  [[nodiscard]] bool is_control() const { return control_; }

 private:
  enum class State {
    reading,     ///< a request
    generating,  ///< the engine has the job
    stalled,     ///< a fault: there will be no answer
    closing,     ///< the answer is written; hang up when it has left and the client has seen it
  };
  enum class Route { none, chat, completions, models, health, sim };

  // Input.
  void read(bool to_the_end);
  std::size_t consume(std::string_view data);
  void on_head();
  void on_request();
  void on_end_of_input();
  [[nodiscard]] Route route_of(std::string_view path) const;
  [[nodiscard]] FaultTarget target_of(Route route) const;

  // Requests.
  void run(Route route);
  void generate(bool completions);
  bool refuse_generation(const ChatRequest& request);
  bool strike(Route route);
  void sim_api();
  void set_fault();
  [[nodiscard]] Framing framing() const;
  void answer(int status, std::string_view body, std::string_view extra = {});
  void answer_text(int status, std::string_view body);
  void finish_answer();

  // The engine's calls.
  void on_tokens(Job& job, std::uint32_t count, TimePoint now) override;
  void on_finished(Job& job) override;
  bool takes_more() const override { return out_.empty() && !broken_; }

  // Output.
  void write(std::string_view bytes);
  bool flush();
  void break_off(bool rst);
  void on_timer(TimePoint now);

  Server& server_;
  int fd_;
  std::uint64_t number_;
  bool control_;
  State state_ = State::reading;
  RequestParser parser_;
  std::string in_;   ///< what came and was not used yet
  std::string out_;  ///< what the kernel did not take yet
  std::size_t out_at_ = 0;
  bool keep_alive_ = true;
  bool http10_ = false;
  bool no_body_ = false;
  bool answered_early_ = false;  ///< the request's body is still to be read and dropped
  bool input_ended_ = false;
  bool input_full_ = false;  ///< reading was stopped
  bool held_ = false;        ///< fault slow: nothing is written yet
  bool broken_ = false;      ///< to be closed at the next revisit
  bool broken_rst_ = false;
  Job job_;
  Generation generation_;
  std::uint32_t cancel_after_ = 0;
  std::optional<Fault> dying_;  ///< reset_after_head or die_mid_stream
  std::optional<Delays::Tasks::iterator> hold_;
  MemberTimer<Connection, &Connection::on_timer> timer_{*this};
};

}  // namespace svc::sim
