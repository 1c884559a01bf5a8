/*
 * Sends requests at a steady pace, whatever comes back: `paced PORT RATE SECONDS FILE`, where the parts of the file, divided by zero bytes, are whole HTTP/1.1 requests. Prints the times in
 * milliseconds that answers took since their request was due, as quantiles, how many there were, why others failed, how many were not there in the end, and how late this program itself was.
 *
 * In C, because a program that collects garbage, or turns once a millisecond, sends late and in bursts, and measures itself. What is left of that is told: `ownP99` and `ownMax` are the times
 * for which a request was due and had a free connection before it was sent. They are part of the answers' times, which always count from when a request was due.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Requests under way at most; the others wait, and are late. */
#define CONNECTIONS 64
/* How long answers are waited for after the last request was due. */
#define PATIENCE_MS 5000.0
/* Of an answer's headers; a longer one is not understood. */
#define HEAD_BYTES_MAX 4096
/* Different reasons of failures that are told apart. */
#define REASONS_MAX 16
#define REASON_BYTES_MAX 96
#define READ_BYTES_MAX (256 * 1024)

struct request {
  const char *bytes;
  size_t length;
};

struct connection {
  int fd; /* -1 where the server has ended it: it is opened again for its next request. */
  int under_way;
  double due_at;
  double free_at;
  long left; /* Bytes of the answer's body that are to come; below zero while its headers are. */
  size_t head_length;
  char head[HEAD_BYTES_MAX + 1];
};

static struct connection connections[CONNECTIONS];
/* Those that are free, in turn, so that none is idle for long: servers end connections on which nothing comes. */
static int free_ring[CONNECTIONS];
static int free_first, free_count;
static int poll_fd;
static struct sockaddr_in server;

static double *answered, *own;
static long answered_count, sent_count, failed_count;
static struct {
  char text[REASON_BYTES_MAX];
  long count;
} reasons[REASONS_MAX];

static void give_up(const char *what) {
  perror(what);
  exit(1);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Reads all requests of a file; they point into its text, which is kept. */
static struct request *read_requests(const char *path, long *count) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) give_up(path);
  long length = ftell(file);
  rewind(file);
  char *text = malloc((size_t)length + 1);
  if (text == NULL || fread(text, 1, (size_t)length, file) != (size_t)length) give_up(path);
  fclose(file);
  text[length] = '\0';
  struct request *requests = NULL;
  *count = 0;
  for (char *at = text; at < text + length; at += strlen(at) + 1) {
    if (*at == '\0') continue;
    requests = realloc(requests, (size_t)(*count + 1) * sizeof *requests);
    if (requests == NULL) give_up("memory");
    requests[(*count)++] = (struct request){at, strlen(at)};
  }
  return requests;
}

static void open_connection(int number) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int yes = 1;
  if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) != 0) give_up("connect");
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) give_up("socket");
  struct epoll_event interest = {.events = EPOLLIN, .data.u32 = (unsigned)number};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &interest) != 0) give_up("epoll");
  connections[number].fd = fd;
}

static void set_free(int number) {
  connections[number].under_way = 0;
  connections[number].free_at = now_ms();
  free_ring[(free_first + free_count++) % CONNECTIONS] = number;
}

static void note_failure(int number, const char *why) {
  failed_count += 1;
  for (int n = 0; n < REASONS_MAX; n += 1) {
    if (reasons[n].count > 0 && n < REASONS_MAX - 1 && strncmp(reasons[n].text, why, REASON_BYTES_MAX - 1) != 0) continue;
    if (reasons[n].count++ == 0) snprintf(reasons[n].text, REASON_BYTES_MAX, "%s", why);
    break;
  }
  set_free(number);
}

static void send_request(struct request request, double due_at) {
  int number = free_ring[free_first];
  struct connection *connection = &connections[number];
  free_first = (free_first + 1) % CONNECTIONS;
  free_count -= 1;
  if (connection->fd < 0) open_connection(number);
  connection->under_way = 1;
  connection->due_at = due_at;
  connection->left = -1;
  connection->head_length = 0;
  own[sent_count++] = now_ms() - (due_at > connection->free_at ? due_at : connection->free_at);
  /* A request is smaller than the empty buffer of its socket. */
  ssize_t written = write(connection->fd, request.bytes, request.length);
  if (written == (ssize_t)request.length) return;
  close(connection->fd);
  connection->fd = -1;
  note_failure(number, written < 0 ? strerror(errno) : "a request did not fit");
}

/* Takes bytes of an answer. Its headers name the length of its body, as those of both servers do. */
static void take_answer(int number, const char *bytes, long length) {
  struct connection *connection = &connections[number];
  if (connection->left >= 0) {
    connection->left -= length;
  } else {
    size_t room = HEAD_BYTES_MAX - connection->head_length;
    size_t taken = (size_t)length < room ? (size_t)length : room;
    memcpy(connection->head + connection->head_length, bytes, taken);
    connection->head[connection->head_length + taken] = '\0';
    char *end = strstr(connection->head, "\r\n\r\n");
    char *named = strcasestr(connection->head, "content-length: ");
    if (end == NULL || named == NULL || named > end) {
      connection->head_length += taken;
      if (connection->head_length < HEAD_BYTES_MAX && end == NULL) return;
      close(connection->fd);
      connection->fd = -1;
      note_failure(number, "an answer without a length");
      return;
    }
    connection->left = atol(named + strlen("content-length: ")) - ((long)connection->head_length + length - (end + 4 - connection->head));
  }
  if (connection->left > 0) return;
  if (strncmp(connection->head, "HTTP/1.1 200", strlen("HTTP/1.1 200")) != 0) {
    connection->head[strcspn(connection->head, "\r\"\\")] = '\0';
    note_failure(number, connection->head);
    return;
  }
  answered[answered_count++] = now_ms() - connection->due_at;
  set_free(number);
}

static void read_from(int number) {
  static char room[READ_BYTES_MAX];
  struct connection *connection = &connections[number];
  ssize_t length = read(connection->fd, room, sizeof room);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length > 0) {
    /* What a server says unasked, such as that it waited too long for a request, is no answer; it ends the connection after it. */
    if (connection->under_way) take_answer(number, room, (long)length);
    return;
  }
  const char *why = length == 0 ? "the server ended the connection" : strerror(errno);
  close(connection->fd);
  connection->fd = -1;
  if (connection->under_way) note_failure(number, why);
}

/* Waits for bytes, and no longer than until the next request is due. */
static void wait_until(double until) {
  struct epoll_event events[CONNECTIONS];
  double left = until - now_ms();
  struct timespec rest = {0, 0};
  if (left > 0) rest = (struct timespec){(time_t)(left / 1e3), (long)(left * 1e6) % 1000000000L};
  int count = epoll_pwait2(poll_fd, events, CONNECTIONS, &rest, NULL);
  if (count < 0 && errno != EINTR) give_up("epoll");
  for (int n = 0; n < count; n += 1) read_from((int)events[n].data.u32);
}

static int by_size(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;
  return one < other ? -1 : one > other;
}

static double quantile(const double *sorted, long count, double ratio) {
  long place = (long)((double)count * ratio);
  return count == 0 ? 0 : sorted[place < count ? place : count - 1];
}

static void tell(double seconds, long total) {
  long missing = total - answered_count - failed_count;
  qsort(answered, (size_t)answered_count, sizeof *answered, by_size);
  qsort(own, (size_t)sent_count, sizeof *own, by_size);
  printf("{\"count\":%ld,\"missing\":%ld,\"failed\":%ld,\"failures\":{", answered_count, missing, failed_count);
  const char *comma = "";
  for (int n = 0; n < REASONS_MAX && reasons[n].count > 0; n += 1, comma = ",") printf("%s\"%s\":%ld", comma, reasons[n].text, reasons[n].count);
  printf("},\"p50\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f", quantile(answered, answered_count, 0.5), quantile(answered, answered_count, 0.99), quantile(answered, answered_count, 0.999),
         quantile(answered, answered_count, 1));
  printf(",\"ownP99\":%.4f,\"ownMax\":%.4f,\"perSecond\":%.2f}\n", quantile(own, sent_count, 0.99), quantile(own, sent_count, 1), (double)answered_count / seconds);
}

int main(int argc, char **argv) {
  if (argc != 5 || atof(argv[2]) < 1 || atof(argv[3]) <= 0) {
    fprintf(stderr, "paced PORT RATE SECONDS FILE\n");
    return 2;
  }
  double rate = atof(argv[2]), duration_ms = atof(argv[3]) * 1e3;
  long total = (long)(rate * duration_ms / 1e3), request_count;
  struct request *requests = read_requests(argv[4], &request_count);
  answered = calloc((size_t)total + 1, sizeof *answered);
  own = calloc((size_t)total + 1, sizeof *own);
  if (request_count == 0 || answered == NULL || own == NULL) give_up("requests");
  server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  /* Before the database, which has the same core. Where that is not allowed, `ownP99` tells what came of it. */
  sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
  prctl(PR_SET_TIMERSLACK, 1000UL);
  poll_fd = epoll_create1(0);
  for (int n = 0; n < CONNECTIONS; n += 1) {
    open_connection(n);
    set_free(n);
  }
  double started_at = now_ms() + 500, ends_at = started_at + duration_ms + PATIENCE_MS;
  while (answered_count + failed_count < total && now_ms() < ends_at) {
    double now = now_ms(), due_at;
    while (sent_count < total && free_count > 0 && (due_at = started_at + (double)sent_count / rate * 1e3) <= now) send_request(requests[sent_count % request_count], due_at);
    wait_until(sent_count < total && free_count > 0 ? started_at + (double)sent_count / rate * 1e3 : ends_at);
  }
  tell((now_ms() - started_at) / 1e3, total);
  return 0;
}
