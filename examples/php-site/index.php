<?php
// A small website with users and sessions of its own: people mark books as read.
//
// The file userkeys.php and the lines that end in "// userkeys" are all that it adds so that its users can give apps keys.

require __DIR__ . '/userkeys.php'; // userkeys

const USERS = [ // password_hash of "ann keeps bees" and "ben bakes bread"
    ['id' => '17', 'name' => 'ann', 'hash' => '$2y$10$m7KymdjT7HtU3CaQDnStPOO.tYKht.rJZKPhD8TV86i5Iekn0uZoy'],
    ['id' => '18', 'name' => 'ben', 'hash' => '$2y$10$c8YYxtF.pZSCXMJ/43biyOMvHBhjnKzJETZrreDVsnf4mfKs0qDQe'],
];

function reply(int $status, string $type, string $text): never {
    http_response_code($status);
    header("Content-Type: $type; charset=utf-8");
    header('Cache-Control: no-store');
    exit($text);
}

function redirect(string $to): never {
    header('Location: ' . $to, true, 303);
    exit;
}

function login_page(int $status, string $why, string $next): never {
    reply($status, 'text/html', '<!DOCTYPE html><html lang="en"><title>Books: sign in</title><h1>Sign in to Books</h1><p>' . $why . '</p>
<form method="post" action="/login"><input type="hidden" name="next" value="' . htmlspecialchars($next) . '">
<label>Name <input name="name" value=""></label> <label>Password <input type="password" name="password" value=""></label>
<button>Sign in</button></form></html>');
}

function user_by(string $field, ?string $value): ?array {
    foreach (USERS as $user) if ($user[$field] === $value) return $user;
    return null;
}

$id = caller(); // userkeys
if ($id === null) { // userkeys
    session_start(['name' => 'books_session', 'cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'use_strict_mode' => true,
        'cookie_secure' => str_starts_with(getenv('SITE_URL'), 'https:')]);
    $id = $_SESSION['id'] ?? null;
} // userkeys
$user = user_by('id', $id);
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$file = getenv('SITE_DATA') . '/books-' . ($user['id'] ?? '') . '.json';

if ($_SERVER['REQUEST_METHOD'] === 'POST' && ($_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'same-origin') !== 'same-origin') {
    reply(403, 'text/plain', 'This form is not ours.');
}
switch ($_SERVER['REQUEST_METHOD'] . ' ' . $path) {
case 'GET /login':
    login_page(200, '', $_GET['next'] ?? '/');
case 'POST /login':
    $known = user_by('name', $_POST['name'] ?? '');
    $next = preg_match('#^/(?![/\\\\])#', $_POST['next'] ?? '') ? $_POST['next'] : '/';
    if (!password_verify($_POST['password'] ?? '', ($known ?? USERS[0])['hash']) || $known === null) {
        login_page(403, 'The name or the password is wrong.', $next);
    }
    session_regenerate_id(true);
    $_SESSION['id'] = $known['id'];
    redirect($next);
}
if ($user === null) {
    if (str_ends_with($path, '.json')) reply(401, 'application/json', json_encode(['error' => 'sign in, or send a key']));
    redirect('/login?next=' . rawurlencode($_SERVER['REQUEST_URI']));
}
$books = is_file($file) ? json_decode(file_get_contents($file), true) : [];
switch ($_SERVER['REQUEST_METHOD'] . ' ' . $path) {
case 'GET /sso': // userkeys
    $to = answer($_GET['sso'] ?? '', $_GET['sig'] ?? '', $user); // userkeys
    $to === null ? reply(400, 'text/plain', 'This is no request of userkeys.') : redirect($to); // userkeys
case 'GET /books.json':
    reply(200, 'application/json', json_encode(['user' => $user['name'], 'books' => $books]));
case 'POST /books.json':
    file_put_contents($file, json_encode([...$books, $_POST['text'] ?? '']), LOCK_EX);
    reply(200, 'application/json', json_encode(['success' => true]));
case 'GET /':
    reply(200, 'text/html', '<!DOCTYPE html><title>Books</title><h1>Books of ' . $user['name'] . '</h1><ul><li>' .
        implode('<li>', array_map('htmlspecialchars', $books)) . '</ul>');
}
reply(404, 'text/plain', 'There is nothing here.');
