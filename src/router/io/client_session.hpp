// One client's connection: reads requests, has each answered (by an upstream, by the router's own pages, or by a refusal) and
// relays. A state machine on the events of two sockets; it never blocks and owns no buffer while it waits.
//
//   session_input     handshake, head and body of a request
//   session_body      the rest of a request's body
//   session_dispatch  checks, own pages, choice of model and upstream
//   session_queue     waiting for a free instance
//   session_prefix    prompt and session; choice by prompts and prefill outstanding; what that is told of the course
//   session_attempt   connect, send, wait for the answer
//   session_failover  what follows from a failure
//   session_relay     the answer's head and body
//   session_end       an answer's end: complete or cut; statistics, access log
//   session_output    bytes towards the client, refusals, closing
//   session_tunnel    after 101: bytes in both directions
//
// Belongs to its DataThread, which destroys it. Between requests it has no Exchange: thousands of idle connections cost what
// their sockets do and little more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "common/core/ip_address.hpp"
#include "common/io/event_loop.hpp"
#include "router/core/http1/request_head.hpp"
#include "router/core/retry_policy.hpp"
#include "router/io/byte_buffer.hpp"
#include "router/io/control_port.hpp"
#include "router/io/exchange.hpp"
#include "router/io/prefix_book.hpp"
#include "router/io/transport.hpp"
#include "router/io/upstream_connection.hpp"

namespace svc::router {

class DataThread;

class ClientSession final : public IoHandler, public Retirable, public UpstreamUser {
 public:
  /// `counted`: the connection is counted against its client's limit.
  ClientSession(DataThread& thread, int fd, IpAddress peer, std::uint64_t id, bool counted);
  ~ClientSession() override;
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  void start();
  void on_io(IoEvents events) override;
  void on_upstream_io(IoEvents events) override;
  void on_upstream_hung() override;

  /// The router's own page is ready.
  void take_own_answer(const OwnAnswer& answer);
  /// The queue woke this request.
  void leave_queue(std::uint64_t wait, WaitQueues::Call call);
  /// What was set aside a moment ago is due (see DataThread::set_aside).
  void take_up();
  /// Draining: a connection without a request in progress has had its time.
  void close_if_idle();
  /// Ends everything at once, visibly for the client.
  void cut();

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] const IpAddress& peer() const { return peer_; }
  [[nodiscard]] bool counted_by_client() const { return counted_by_client_; }

 private:
  static constexpr int kReadsAtOnce = 4;
  enum class State : std::uint8_t {
    handshake,
    idle,  ///< between requests; nothing of the next one is there
    head,  ///< some of a head is there
    body,  ///< head complete, body is being read
    own,   ///< the control thread makes the answer
    queued,
    connecting,
    upstream_handshake,
    sending,  ///< to the upstream
    waiting,  ///< for the answer's head
    relaying,
    flushing,  ///< the answer is complete; its last bytes wait for the client
    tunnel,
    lingering,  ///< told the client to go; reads what it still sends
    dead,
  };

  // session_input.cpp
  void take_events(IoEvents events);
  /// Lack of memory ends this connection, and no other.
  template <class Work>
  void guarded(const Work& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      close(true);
    }
  }
  void read_client();
  void resume_later();                     ///< a fast peer is not read for ever: the others come first
  bool take_input(std::string_view data);  ///< false: stop reading for now
  void count_request();                    ///< record_exchange() is its other half
  bool begin_request(std::string_view data, std::size_t head_bytes);
  std::size_t begin_body(std::string_view head_bytes, std::string_view rest);  ///< how much of `rest` it took
  bool read_body();
  std::size_t take_body_chunks(std::string_view data);
  void body_complete();
  void stash(std::string_view data);
  void next_request();

  // session_dispatch.cpp
  /// `body_is_own`: it lies in x().body, else in memory that is gone after this event.
  void dispatch(const RequestHead& head, std::string_view body, bool body_is_own);
  bool admit(const RequestHead& head);  ///< before the body is read; false: refused
  void set_client(const RequestHead& head);
  bool choose_group(const RequestHead& head, std::string_view body);
  void ask_control(const RequestHead& head);
  void build_request(const RequestHead& head, std::string_view body, bool body_is_own, std::string_view host);
  void find_upstream(const RequestHead* head, std::string_view body, bool body_is_own);  ///< no head: it was built
  void refuse_pick(PickProblem problem);
  void join_queue(double seconds = 0);
  void give_up_waiting();
  [[nodiscard]] std::uint64_t owner() const;

  // session_prefix.cpp
  [[nodiscard]] PickResult choose_upstream(double& seconds);  ///< `seconds`: of prefill, when it has to wait
  [[nodiscard]] std::function<WaitOrder::Place()> readiness();
  PromptState& prompt_state();
  /// The shape of the request's prompt: for the choice, or for the access log.
  void take_prompt(const FactsReader::Reading& reading);
  [[nodiscard]] bool logs_prompts() const;
  [[nodiscard]] std::uint64_t session_hash(const RequestHead& head) const;  ///< 0 = it names none
  [[nodiscard]] PrefixAsk prefix_ask();
  [[nodiscard]] double own_seconds();
  void take_priority(const RequestHead& head);
  void prompt_sent();
  void prompt_judged();  ///< its answer's status is known
  void prompt_done();
  void end_load();
  void room_made(const UpstreamSpec& spec);  ///< somebody who waits may have a place now
  [[nodiscard]] bool by_prefix() const { return x().group != nullptr && x().group->method == Method::prefix_aware; }

  // session_attempt.cpp
  void take_upstream_events(IoEvents events);
  void begin_attempt(const PickResult& picked);
  void connect_upstream(bool fresh);
  void try_address();
  void drive_upstream_handshake();
  bool try_elsewhere(FailureReason reason, bool charge_budget);
  void connected();
  void send_request();
  void attempt_failed(FailureReason reason, AttemptPhase phase);
  void blame(FailureReason reason);
  void end_attempt(bool reusable);
  [[nodiscard]] AttemptPhase phase() const;

  // session_relay.cpp
  void read_upstream();
  void read_what_came();
  void note_heard();
  bool better_later();  ///< true: set aside, so that two pieces that are close together go out as one
  bool take_answer(std::string_view data);  ///< false: stop reading for now
  bool begin_answer(std::string_view data, std::size_t head_bytes);
  bool moved_on_503();
  bool relay(std::string_view data, bool with_head);
  void upstream_ended(bool orderly);
  [[nodiscard]] bool ended_whole() const;
  void answer_complete();
  void answer_cut(FailureReason reason);
  void note_piece(std::string_view content);
  void answer_sent();
  void finish_exchange();
  /// What the answer has used of its key's tokens, as far as it is not spent yet.
  void spend_tokens();
  void record_exchange();

  // session_output.cpp
  bool send_client(std::string_view first, std::string_view second = {});  ///< false: some is left; wait
  void flush_client();
  void set_paused(bool paused);
  void refuse(FailureReason reason, std::string_view message, std::string_view param = {}, unsigned retry_after = 0);
  void refuse_status(int status, FailureReason reason, std::string_view message, std::string_view extra,
                     std::string_view param = {});
  void answer_own(int status, std::string_view type, std::string_view body, std::string_view extra);
  void client_gone();
  void linger();
  void close(bool with_reset = false);

  // session_tunnel.cpp
  void begin_tunnel(std::string_view first_bytes);
  void run_tunnel();

  void on_timer(TimePoint now);
  void time_out(TimePoint now);
  void arm(Duration after);
  [[nodiscard]] TimePoint now() const;
  void set_buffered(std::uint64_t bytes);

  /// The request in progress; begins one where there is none.
  Exchange& x();
  [[nodiscard]] const Exchange& x() const { return *exchange_; }  ///< while there is one
  void drop_exchange();

  DataThread& thread_;
  Transport client_;
  const IpAddress peer_;
  const std::uint64_t id_;
  const bool counted_by_client_;
  State state_ = State::idle;
  bool client_readable_ = false;
  bool client_writable_ = true;
  bool client_closed_ = false;  ///< its sending side has ended
  bool resume_posted_ = false, up_resume_posted_ = false;
  bool aside_ = false, took_up_ = false;
  bool paused_ = false;       ///< the client takes nothing, so that the upstream is not read
  bool in_dispatch_ = false;  ///< guards against recursion through next_request
  bool registered_ = false;
  bool served_ = false;       ///< has had an answer
  bool answer_done_ = false;  ///< everything of the answer was taken over
  std::string client_text_;   ///< address as logged and forwarded (behind a trusted proxy: the one it names)
  std::string peer_text_;
  bool peer_trusted_ = false;

  ByteBuffer in_;            ///< received, not yet taken: a part of a head, or the next request
  std::size_t scanned_ = 0;  ///< of in_, by read_request_head
  std::uint64_t body_expected_ = 0;
  std::unique_ptr<ChunkRelay> body_chunks_;
  std::uint64_t buffered_ = 0;  ///< what this session counts in DataPlane::buffered_bytes

  ByteBuffer up_in_;  ///< a part of an answer's head
  std::size_t up_scanned_ = 0;
  UpstreamConnection* up_ = nullptr;
  UpstreamPool* pool_ = nullptr;
  std::size_t address_ = 0;  ///< of the upstream's addresses, the one tried
  std::size_t sent_ = 0;     ///< of request + body

  std::string out_;  ///< refused by the client's socket, to be sent first
  std::size_t out_sent_ = 0;
  std::unique_ptr<std::string> to_upstream_;  ///< tunnel: refused by the upstream's socket
  bool close_after_flush_ = false;
  unsigned interim_answers_ = 0;
  std::uint64_t wait_ = 0;  ///< counts the places in queues that this session had: a late wake-up is told from its own
  bool client_ended_ = false, upstream_ended_ = false;  ///< tunnel: directions that are over

  std::unique_ptr<Exchange> exchange_;
  MemberTimer<ClientSession, &ClientSession::on_timer> timer_{*this};
};

}  // namespace svc::router
