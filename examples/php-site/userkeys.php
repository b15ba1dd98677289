<?php
// What a website adds so that its users can give apps keys: they sign in here, and requests with a key name them.
define('HERE', getenv('SITE_URL') . '/user-api-key/login/site/callback');

function sign(string $text): string {
    return hash_hmac('sha256', $text, getenv('SSO_SECRET') ?: throw new Exception('no SSO_SECRET'));
}

// answer returns where to send the browser of $user, who is signed in; null if the request is not from userkeys.
function answer(string $sso, string $sig, array $user): ?string {
    if (!hash_equals(sign($sso), $sig)) return null;
    parse_str(base64_decode($sso), $asked);
    if (($asked['return_sso_url'] ?? null) !== HERE) return null;
    $reply = ['nonce' => $asked['nonce'], 'return_sso_url' => HERE, 'external_id' => $user['id'], 'username' => $user['name']];
    $sso = base64_encode(http_build_query($reply, '', '&'));
    return HERE . '?' . http_build_query(['sso' => $sso, 'sig' => sign($sso)], '', '&');
}

// caller returns the id of the user whose key the request has, or null.
function caller(): ?string {
    if (($_SERVER['HTTP_X_USERKEYS_KEY_ID'] ?? '') === '') return null;
    return rawurldecode($_SERVER['HTTP_X_USERKEYS_EXTERNAL_ID'] ?? '');
}
