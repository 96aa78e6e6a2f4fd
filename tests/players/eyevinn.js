// @eyevinn/webrtc-player: gathers all candidates, then offers.
import { WebRTCPlayer } from '@eyevinn/webrtc-player';

const video = document.querySelector('video');
const url = new URL(new URLSearchParams(location.search).get('whep'));
const player = new WebRTCPlayer({ video, type: 'whep', iceServers: [] });
window.stopWatching = () => player.unload();
await player.load(url);
